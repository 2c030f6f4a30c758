//! What can go wrong while composing, and whether trying again can help.

use crate::error::StoreError;
use crate::keys::KeyError;
use crate::location::UrlError;
use crate::recipe::TilingError;
use crate::uploads::Stalled;

/// A step of a composition failed.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// A store or file failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The token is not one of ours.
    #[error("the upload token can't be read ({problem}); begin the merge of this build again")]
    Token {
        /// What is wrong with it.
        problem: String,
    },
    /// The composition is not open: it was given up, or finished with other bytes.
    #[error("the upload to {dst} is not open any more; begin the merge of this build again")]
    Gone {
        /// The output's address.
        dst: String,
    },
    /// The parts are not all of the output.
    #[error("the parts don't make up {dst}: {source}; report this as a bug")]
    Parts {
        /// The output's address, or `the output`.
        dst: String,
        /// Where they fail to.
        source: TilingError,
    },
    /// A receipt is not of its part.
    #[error("the receipt of part {number} is not of that part; place the part again")]
    Receipt {
        /// Which part, from 0.
        number: u32,
    },
    /// A part reaches behind the output's end.
    #[error("part {number} ends at {end}, behind the {total} bytes of {dst}; report this as a bug")]
    Beyond {
        /// Which part, from 0.
        number: u32,
        /// Where it ends, in bytes.
        end: u64,
        /// Bytes of the output.
        total: u64,
        /// The output's address.
        dst: String,
    },
    /// A part that must go through memory is too large for that.
    #[error(
        "part {number} of {dst} has {len} bytes, at most {max} can go through memory; cut the \
         recipe by the part rules of its output"
    )]
    LargePart {
        /// Which part, from 0.
        number: u32,
        /// The output's address.
        dst: String,
        /// Its bytes.
        len: u64,
        /// The limit in bytes.
        max: u64,
    },
    /// A part is not in place, whatever its receipt says.
    #[error("part {number} of {dst} is not in place; place it again")]
    Unplaced {
        /// Which part, from 0.
        number: u32,
        /// The output's address.
        dst: String,
    },
    /// The server refused a request.
    #[error(
        "the server refused to {action} {dst}: {status} {code}: {message}; check what the \
         credentials allow there (if it is an S3 server that can't copy parts, set \
         PRESTAGE_S3_PART_COPY=false)"
    )]
    Refused {
        /// What was asked for, as a verb.
        action: String,
        /// The output's address.
        dst: String,
        /// HTTP status; 200 with an error in the body is an error too. 0 if nothing was sent.
        status: u16,
        /// The server's code.
        code: String,
        /// The server's message.
        message: String,
    },
    /// The server could not be reached, or its answer was lost.
    #[error("no answer to the request to {action} {dst}: {source}; check the network")]
    Unreachable {
        /// What was asked for, as a verb.
        action: String,
        /// The output's address.
        dst: String,
        /// What happened; the address is taken out, for it is signed.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server stopped taking an upload's bytes, or does not answer it.
    #[error("gave up the request to {action} {dst}: {source}; check the network")]
    Stalled {
        /// What was asked for, as a verb.
        action: String,
        /// The output's address.
        dst: String,
        /// How far it came.
        source: Stalled,
    },
    /// The output is there but not what was composed.
    #[error("{dst} has {found} bytes instead of {expected}; remove it and build again")]
    Size {
        /// The output's address.
        dst: String,
        /// Bytes found.
        found: u64,
        /// Bytes composed.
        expected: u64,
    },
}

impl ComposeError {
    /// Whether the same request should be sent again at once: no client library did so already.
    pub(super) fn is_worth_repeating(&self) -> bool {
        let sent_once =
            matches!(self, Self::Unreachable { .. } | Self::Stalled { .. } | Self::Refused { .. });
        sent_once && self.is_transient()
    }

    /// Whether the same step may succeed later without anybody's doing.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Store(error) => error.is_transient(),
            Self::Unreachable { .. } | Self::Stalled { .. } => true,
            Self::Refused { status, code, .. } => is_transient_refusal(*status, code),
            _ => false,
        }
    }
}

/// By the lists of error codes of S3 and Azure; an error in the body of a 200 is judged by its code alone.
fn is_transient_refusal(status: u16, code: &str) -> bool {
    let busy = matches!(
        code,
        "InternalError"
            | "SlowDown"
            | "RequestTimeout"
            | "ServiceUnavailable"
            | "OperationAborted"
            | "ServerBusy"
            | "OperationTimedOut"
    );
    busy || status == 429 || (status >= 500 && status != 501)
}

impl From<UrlError> for ComposeError {
    fn from(error: UrlError) -> Self {
        Self::Store(error.into())
    }
}

impl From<KeyError> for ComposeError {
    fn from(error: KeyError) -> Self {
        Self::Store(error.into())
    }
}

impl From<TilingError> for ComposeError {
    fn from(source: TilingError) -> Self {
        Self::Parts { dst: "the output".to_owned(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_server_is_asked_again_and_a_refusing_one_is_not() {
        for (status, code, transient) in [
            (503, "SlowDown", true),
            (200, "InternalError", true),
            (500, "", true),
            (200, "AccessDenied", false),
            (412, "PreconditionFailed", false),
            (501, "NotImplemented", false),
        ] {
            assert_eq!(is_transient_refusal(status, code), transient, "{status} {code}");
        }
    }
}
