//! What everything in the sample site is called.

/// The site code.
pub(crate) const SITE: &str = "PS1";
/// The task sequence.
pub(crate) const TASK_SEQUENCE: &str = "PS100123";
/// Its name.
pub(crate) const TASK_SEQUENCE_NAME: &str = "Deploy Windows 11 (sample)";
/// A package that was deleted at the site; only a disabled step still names it.
pub(crate) const DELETED_PACKAGE: &str = "PS100039";

pub(crate) const BOOT_IMAGE: Package =
    package("PS100005", 3, Kind::BootImage, "Boot image (x64) sample");
pub(crate) const OS_IMAGE: Package =
    package("PS100010", 4, Kind::OsImage, "Windows 11 24H2 sample");
pub(crate) const CLIENT: Package =
    package("PS100002", 2, Kind::Package, "Configuration Manager Client Package");
pub(crate) const SCRIPTS: Package = package("PS100031", 7, Kind::Package, "Deployment scripts");
pub(crate) const VENDOR_TOOLS: Package = package("PS100032", 1, Kind::Package, "Vendor tools");
pub(crate) const PRESTART: Package = package("PS100040", 2, Kind::Package, "Prestart command");
pub(crate) const DRIVERS: Package =
    package("PS100077", 5, Kind::DriverPackage, "Drivers: Latitude 7450 sample");

/// The packages that every sample has and that have content.
pub(crate) const PACKAGES: [Package; 7] =
    [CLIENT, BOOT_IMAGE, OS_IMAGE, SCRIPTS, VENDOR_TOOLS, PRESTART, DRIVERS];

/// Packages of software that only measurements ask for.
pub(crate) const SOFTWARE: [Package; 16] = [
    package("PS100201", 1, Kind::Package, "Software 01"),
    package("PS100202", 1, Kind::Package, "Software 02"),
    package("PS100203", 1, Kind::Package, "Software 03"),
    package("PS100204", 1, Kind::Package, "Software 04"),
    package("PS100205", 1, Kind::Package, "Software 05"),
    package("PS100206", 1, Kind::Package, "Software 06"),
    package("PS100207", 1, Kind::Package, "Software 07"),
    package("PS100208", 1, Kind::Package, "Software 08"),
    package("PS100209", 1, Kind::Package, "Software 09"),
    package("PS100210", 1, Kind::Package, "Software 10"),
    package("PS100211", 1, Kind::Package, "Software 11"),
    package("PS100212", 1, Kind::Package, "Software 12"),
    package("PS100213", 1, Kind::Package, "Software 13"),
    package("PS100214", 1, Kind::Package, "Software 14"),
    package("PS100215", 1, Kind::Package, "Software 15"),
    package("PS100216", 1, Kind::Package, "Software 16"),
];

/// What a package is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Package,
    DriverPackage,
    OsImage,
    BootImage,
}

impl Kind {
    /// The provider's class.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Package => "SMS_Package",
            Self::DriverPackage => "SMS_DriverPackage",
            Self::OsImage => "SMS_ImagePackage",
            Self::BootImage => "SMS_BootImagePackage",
        }
    }

    /// `PackageType`.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Package => 0,
            Self::DriverPackage => 3,
            Self::OsImage => 257,
            Self::BootImage => 258,
        }
    }
}

/// A package.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Package {
    pub(crate) id: &'static str,
    pub(crate) version: u32,
    pub(crate) kind: Kind,
    pub(crate) name: &'static str,
}

const fn package(id: &'static str, version: u32, kind: Kind, name: &'static str) -> Package {
    Package { id, version, kind, name }
}

impl Package {
    /// `PS100010.4`.
    pub(crate) fn content_id(&self) -> String {
        format!("{}.{}", self.id, self.version)
    }
}

/// An application with one deployment type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Application {
    pub(crate) ci_id: u64,
    pub(crate) deployment_type_ci_id: u64,
    pub(crate) guid: &'static str,
    pub(crate) name: &'static str,
    pub(crate) package_id: &'static str,
    /// The version of its content; 0 for an application without any.
    pub(crate) content_version: u32,
    pub(crate) superseded: bool,
}

/// Installed by the task sequence; depends on [`RUNTIME`] and supersedes [`OLD_AGENT`].
pub(crate) const AGENT: Application = application(
    (16_777_301, 16_777_302),
    "5b7c7d0e-3f3b-4c58-9d0a-6f1f3c0a7b11",
    "Contoso Agent 2",
    "PS100050",
    (3, false),
);
/// What the agent depends on; nothing else names it.
pub(crate) const RUNTIME: Application = application(
    (16_777_311, 16_777_312),
    "0c1d2e3f-7a8b-4c9d-8e0f-1a2b3c4d5e6f",
    "Contoso Runtime",
    "PS100051",
    (1, false),
);
/// Named by the spec alone.
pub(crate) const VIEWER: Application = application(
    (16_777_321, 16_777_322),
    "9e8d7c6b-5a4f-4e3d-a2c1-b0a9f8e7d6c5",
    "Contoso Viewer",
    "PS100052",
    (2, false),
);
/// Superseded, without content.
pub(crate) const OLD_AGENT: Application = application(
    (16_777_331, 16_777_332),
    "1f2e3d4c-5b6a-4798-8796-a5b4c3d2e1f0",
    "Contoso Agent 1",
    "PS100053",
    (0, true),
);

/// All applications.
pub(crate) const APPLICATIONS: [Application; 4] = [AGENT, RUNTIME, VIEWER, OLD_AGENT];

const fn application(
    (ci_id, deployment_type_ci_id): (u64, u64),
    guid: &'static str,
    name: &'static str,
    package_id: &'static str,
    (content_version, superseded): (u32, bool),
) -> Application {
    Application {
        ci_id,
        deployment_type_ci_id,
        guid,
        name,
        package_id,
        content_version,
        superseded,
    }
}

const SCOPE: &str = "ScopeId_6D1E1B0A-52C8-4F0E-9E57-0D7C5B1A2F34";

impl Application {
    /// `ScopeId_…/Application_…`.
    pub(crate) fn model_name(&self) -> String {
        format!("{SCOPE}/Application_{}", self.guid)
    }

    /// `ScopeId_…/DeploymentType_…`.
    pub(crate) fn deployment_type_model_name(&self) -> String {
        format!("{SCOPE}/DeploymentType_{}", self.guid)
    }

    /// `Content_<guid>`.
    pub(crate) fn content_stem(&self) -> String {
        format!("Content_{}", self.guid)
    }

    /// `Content_<guid>.1`.
    pub(crate) fn content_id(&self) -> String {
        format!("{}.{}", self.content_stem(), self.content_version)
    }

    /// Whether it has content.
    pub(crate) fn has_content(&self) -> bool {
        self.content_version > 0
    }
}

/// A distribution point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DistributionPoint {
    pub(crate) name: &'static str,
    /// Its folder in the site.
    pub(crate) folder: &'static str,
}

impl DistributionPoint {
    /// Whether it holds a package: the first one lacks the driver package.
    pub(crate) fn holds(&self, package_id: &str) -> bool {
        *self != DP1 || package_id != DRIVERS.id
    }

    /// The provider's name for it.
    pub(crate) fn nal_path(&self) -> String {
        let name = self.name;
        format!("[\"Display=\\\\{name}\\\"]MSWNET:[\"SMS_SITE={SITE}\"]\\\\{name}\\")
    }
}

pub(crate) const DP1: DistributionPoint =
    DistributionPoint { name: "dp1.corp.example", folder: "dp1" };
pub(crate) const DP2: DistributionPoint =
    DistributionPoint { name: "dp2.corp.example", folder: "dp2" };

/// The management points. HTTP, since the spec's certificate is self-signed.
pub(crate) const MANAGEMENT_POINTS: [&str; 2] =
    ["http://mp1.corp.example", "http://mp2.corp.example"];
