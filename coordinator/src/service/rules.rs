//! Which role each call takes. What is not named here nobody may call.

use prestage_trust::Role;

/// Who may make a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Anybody who reaches the coordinator: the call decides for itself, or tells nothing.
    Anybody,
    /// Whoever has proved who they are.
    Known,
    /// Whoever has this role.
    Has(Role),
}

/// All calls.
pub const RULES: &[(&str, Rule)] = &[
    // Secrets are handed in for being sealed.
    ("/prestage.v1.MediaService/PlanMedia", Rule::Has(Role::Seal)),
    ("/prestage.v1.MediaService/SubmitBuild", Rule::Has(Role::Submit)),
    ("/prestage.v1.MediaService/GetBuild", Rule::Has(Role::Read)),
    ("/prestage.v1.MediaService/ListBuilds", Rule::Has(Role::Read)),
    // One's own; others' builds take an administrator.
    ("/prestage.v1.MediaService/CancelBuild", Rule::Has(Role::Submit)),
    ("/prestage.v1.MediaService/CollectGarbage", Rule::Has(Role::Admin)),
    ("/prestage.v1.MediaService/GetBuildLog", Rule::Has(Role::Read)),
    ("/prestage.v1.MediaService/WatchBuild", Rule::Has(Role::Read)),
    ("/prestage.v1.WorkerService/Synchronize", Rule::Has(Role::Work)),
    ("/prestage.v1.AuditService/ListAuditRecords", Rule::Has(Role::Admin)),
    ("/prestage.v1.TrustService/WhoAmI", Rule::Known),
    ("/prestage.v1.TrustService/CreateEnrolment", Rule::Has(Role::Admin)),
    // Its token says who may.
    ("/prestage.v1.TrustService/Enrol", Rule::Anybody),
    ("/prestage.v1.TrustService/RenewCertificate", Rule::Has(Role::Work)),
    ("/prestage.v1.TrustService/ListIdentities", Rule::Has(Role::Admin)),
    ("/prestage.v1.TrustService/RevokeIdentity", Rule::Has(Role::Admin)),
    ("/prestage.v1.TrustService/RestoreIdentity", Rule::Has(Role::Admin)),
    // Probes of Kubernetes and load balancers prove nothing.
    ("/grpc.health.v1.Health/Check", Rule::Anybody),
    ("/grpc.health.v1.Health/Watch", Rule::Anybody),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Rule::Known),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Rule::Known),
];

/// The rule of a call, if there is one.
pub fn rule_of(path: &str) -> Option<Rule> {
    RULES.iter().find(|(known, _)| *known == path).map(|(_, rule)| *rule)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;

    /// Every call of every service that the coordinator offers.
    fn offered() -> BTreeSet<String> {
        let ours = FileDescriptorSet::decode(prestage_proto::v1::DESCRIPTORS).unwrap();
        let health = FileDescriptorSet::decode(tonic_health::pb::FILE_DESCRIPTOR_SET).unwrap();
        let reflection = [
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        let reflection = reflection.map(|set| FileDescriptorSet::decode(set).unwrap());
        let files = [ours, health].into_iter().chain(reflection).flat_map(|set| set.file);
        let calls = files.flat_map(|file| {
            let package = file.package().to_owned();
            file.service.into_iter().flat_map(move |service| {
                let of = format!("/{package}.{}", service.name());
                service.method.into_iter().map(move |method| format!("{of}/{}", method.name()))
            })
        });
        calls.collect()
    }

    #[test]
    fn every_call_has_one_rule_and_every_rule_a_call() {
        let ruled: BTreeSet<String> = RULES.iter().map(|(path, _)| (*path).to_owned()).collect();
        assert_eq!(ruled.len(), RULES.len(), "a call has two rules");
        assert_eq!(offered(), ruled, "left: calls, right: rules");
    }

    #[test]
    fn what_has_no_rule_is_nobodys() {
        for path in ["", "/", "/prestage.v1.MediaService/", "/prestage.v1.MediaService/planMedia"] {
            assert_eq!(rule_of(path), None);
        }
    }

    #[test]
    fn few_calls_are_for_everybody() {
        let open = RULES.iter().filter(|(_, rule)| *rule == Rule::Anybody);
        let open: Vec<&str> = open.map(|(path, _)| *path).collect();
        assert!(open.iter().all(|path| path.contains("Health") || path.ends_with("/Enrol")));
    }
}
