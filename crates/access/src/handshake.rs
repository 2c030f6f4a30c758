//! Windows authentication over HTTP: the tokens of Negotiate and NTLM, made by the sspi library.
//!
//! NTLM proves who a *connection* is; so a handshake and what follows it go over one connection, which
//! [`crate::server`] sees to.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header::WWW_AUTHENTICATE};
use sspi::{
    AuthIdentity, BufferType, ClientRequestFlags, Credentials, CredentialsBuffers,
    DataRepresentation, KerberosConfig, Negotiate, NegotiateConfig, Ntlm, SecurityBuffer, Sspi,
    SspiImpl, Username, ntlm::NtlmConfig,
};

use crate::identity::Account;

/// What clients call themselves where servers ask for a computer's name.
const COMPUTER: &str = "PRESTAGE";

/// Which of a server's offers is taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Kerberos or NTLM, wrapped in SPNEGO.
    Negotiate,
    /// NTLM as it is.
    Ntlm,
}

impl Scheme {
    /// The best of what a server offers; `None` if it offers neither.
    pub(crate) fn offered(headers: &HeaderMap) -> Option<Self> {
        let offers = || headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|v| v.to_str().ok());
        let offers = |name: &str| {
            offers().flat_map(|value| value.split(',')).any(|offer| {
                offer.split_whitespace().next().is_some_and(|word| word.eq_ignore_ascii_case(name))
            })
        };
        match (offers("Negotiate"), offers("NTLM")) {
            (true, _) => Some(Self::Negotiate),
            (_, true) => Some(Self::Ntlm),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Negotiate => "Negotiate",
            Self::Ntlm => "NTLM",
        }
    }

    /// The token that a server answered with.
    fn token(self, headers: &HeaderMap) -> Option<Vec<u8>> {
        let values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|v| v.to_str().ok());
        let mut tokens = values.filter_map(|value| {
            let (name, token) = value.trim().split_once(' ')?;
            name.eq_ignore_ascii_case(self.name()).then(|| STANDARD.decode(token.trim()).ok())?
        });
        tokens.next()
    }
}

/// A handshake that is under way.
pub(crate) struct Handshake {
    scheme: Scheme,
    package: Package,
    target: String,
}

enum Package {
    Negotiate(Box<Negotiate>, Option<CredentialsBuffers>),
    Ntlm(Box<Ntlm>, Option<sspi::AuthIdentityBuffers>),
}

impl Handshake {
    /// Begins one with `host`. Blocking: what follows may ask a KDC.
    pub(crate) fn new(scheme: Scheme, host: &str, account: &Account) -> Result<Self, sspi::Error> {
        let username = Username::parse(&account.user).map_err(|error| {
            sspi::Error::new(sspi::ErrorKind::UnknownCredentials, error.to_string())
        })?;
        let password = account.password.expose().to_owned().into();
        let identity = AuthIdentity { username, password };
        let package = match scheme {
            Scheme::Ntlm => {
                let mut ntlm = Ntlm::with_config(NtlmConfig::new(COMPUTER.to_owned()));
                let acquired = ntlm
                    .acquire_credentials_handle()
                    .with_credential_use(sspi::CredentialUse::Outbound)
                    .with_auth_data(&identity)
                    .execute(&mut ntlm)?;
                Package::Ntlm(Box::new(ntlm), acquired.credentials_handle)
            }
            Scheme::Negotiate => {
                let mut negotiate = Negotiate::new_client(negotiate_config(account))?;
                let acquired = negotiate
                    .acquire_credentials_handle()
                    .with_credential_use(sspi::CredentialUse::Outbound)
                    .with_auth_data(&Credentials::AuthIdentity(identity))
                    .execute(&mut negotiate)?;
                Package::Negotiate(Box::new(negotiate), acquired.credentials_handle)
            }
        };
        Ok(Self { scheme, package, target: format!("HTTP/{host}") })
    }

    /// The next `Authorization` header, for what the server answered last (nothing, at first). `None`
    /// when the server has not gone on with the handshake. Blocking.
    pub(crate) fn step(
        &mut self,
        answer: Option<&HeaderMap>,
    ) -> Result<Option<String>, sspi::Error> {
        let token = match answer {
            None => Vec::new(),
            Some(headers) => match self.scheme.token(headers) {
                Some(token) => token,
                None => return Ok(None),
            },
        };
        let mut input = [SecurityBuffer::new(token, BufferType::Token)];
        let mut output = vec![SecurityBuffer::new(Vec::new(), BufferType::Token)];
        let flags = ClientRequestFlags::ALLOCATE_MEMORY;
        match &mut self.package {
            Package::Negotiate(negotiate, credentials) => {
                let mut builder = negotiate
                    .initialize_security_context()
                    .with_credentials_handle(credentials)
                    .with_context_requirements(flags)
                    .with_target_data_representation(DataRepresentation::Native)
                    .with_target_name(&self.target)
                    .with_input(&mut input)
                    .with_output(&mut output);
                negotiate
                    .initialize_security_context_impl(&mut builder)?
                    .resolve_with_default_network_client()?;
            }
            Package::Ntlm(ntlm, credentials) => {
                let mut builder = ntlm
                    .initialize_security_context()
                    .with_credentials_handle(credentials)
                    .with_context_requirements(flags)
                    .with_target_data_representation(DataRepresentation::Native)
                    .with_target_name(&self.target)
                    .with_input(&mut input)
                    .with_output(&mut output);
                ntlm.initialize_security_context_impl(&mut builder)?.resolve_to_result()?;
            }
        }
        let token = output.first().map(|buffer| STANDARD.encode(&buffer.buffer));
        Ok(token.map(|token| format!("{} {token}", self.scheme.name())))
    }
}

fn negotiate_config(account: &Account) -> NegotiateConfig {
    let packages = match (&account.kdc, account.ntlm) {
        (Some(_), true) => "kerberos,ntlm,!pku2u",
        (Some(_), false) => "kerberos,!ntlm,!pku2u",
        (None, _) => "!kerberos,ntlm,!pku2u",
    };
    let protocol: Box<dyn sspi::negotiate::ProtocolConfig> = match &account.kdc {
        Some(kdc) => Box::new(KerberosConfig::new_with_kdc_url(kdc, COMPUTER.to_owned())),
        None => Box::new(NtlmConfig::new(COMPUTER.to_owned())),
    };
    NegotiateConfig::new(protocol, Some(packages.to_owned()), COMPUTER.to_owned())
}
