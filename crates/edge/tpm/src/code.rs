//! Response codes (part 2, 6.6).

use std::fmt;

/// Why a TPM refused a command.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ResponseCode(u32);

/// Codes with a consequence here; those of format one without the number of what they are about.
pub(crate) mod rc {
    pub(crate) const INITIALIZE: u32 = 0x100;
    pub(crate) const HANDLE: u32 = 0x08b;
    pub(crate) const AUTH_FAIL: u32 = 0x08e;
    pub(crate) const POLICY_FAIL: u32 = 0x09d;
    pub(crate) const INTEGRITY: u32 = 0x09f;
    pub(crate) const BAD_AUTH: u32 = 0x0a2;
    pub(crate) const NV_SPACE: u32 = 0x14b;
    pub(crate) const OBJECT_MEMORY: u32 = 0x902;
    pub(crate) const SESSION_MEMORY: u32 = 0x903;
    pub(crate) const SESSION_HANDLES: u32 = 0x905;
    pub(crate) const OBJECT_HANDLES: u32 = 0x906;
    pub(crate) const YIELDED: u32 = 0x908;
    pub(crate) const TESTING: u32 = 0x90a;
    pub(crate) const NV_RATE: u32 = 0x920;
    pub(crate) const LOCKOUT: u32 = 0x921;
    pub(crate) const RETRY: u32 = 0x922;
}

/// Names of codes, and what to do where that is known.
const NAMES: &[(u32, &str, &str)] = &[
    (0x081, "ASYMMETRIC", ""),
    (
        0x082,
        "ATTRIBUTES",
        "the attributes of the key do not allow it",
    ),
    (0x083, "HASH", ""),
    (0x084, "VALUE", ""),
    (
        0x085,
        "HIERARCHY",
        "the hierarchy is disabled by the firmware",
    ),
    (0x087, "KEY_SIZE", ""),
    (0x08a, "TYPE", ""),
    (rc::HANDLE, "HANDLE", "nothing is at this handle"),
    (
        rc::AUTH_FAIL,
        "AUTH_FAIL",
        "the authorization value is wrong; set owner and endorsement in \
         [tpm.hierarchy_authorization]",
    ),
    (0x08f, "NONCE", ""),
    (0x092, "SCHEME", ""),
    (0x095, "SIZE", ""),
    (0x096, "SYMMETRIC", ""),
    (0x098, "SELECTOR", ""),
    (0x09a, "INSUFFICIENT", ""),
    (0x09c, "KEY", ""),
    (
        rc::POLICY_FAIL,
        "POLICY_FAIL",
        "the key has another policy than the template of the Trusted Computing Group",
    ),
    (
        rc::INTEGRITY,
        "INTEGRITY",
        "it was wrapped for another key, or was altered",
    ),
    (0x0a0, "TICKET", ""),
    (
        rc::BAD_AUTH,
        "BAD_AUTH",
        "the authorization value is wrong; set owner and endorsement in \
         [tpm.hierarchy_authorization]",
    ),
    (0x0a3, "EXPIRED", ""),
    (
        0x0a5,
        "BINDING",
        "public and private part do not belong together",
    ),
    (0x0a6, "CURVE", "the TPM does not have this curve"),
    (rc::INITIALIZE, "INITIALIZE", "the TPM is not started"),
    (
        0x101,
        "FAILURE",
        "the TPM is in failure mode; switch the machine off and on",
    ),
    (0x120, "DISABLED", "the command is disabled"),
    (0x143, "COMMAND_CODE", "the TPM does not have this command"),
    (0x146, "NV_RANGE", ""),
    (0x148, "NV_LOCKED", "the index is locked"),
    (
        0x149,
        "NV_AUTHORIZATION",
        "the index may not be used with this authorization",
    ),
    (0x14a, "NV_UNINITIALIZED", "the index was never written"),
    (
        rc::NV_SPACE,
        "NV_SPACE",
        "the TPM has no room for another persistent object; remove one with tpm2_evictcontrol",
    ),
    (0x14c, "NV_DEFINED", "the handle or index is in use"),
    (0x152, "PARENT", ""),
    (
        rc::OBJECT_MEMORY,
        "OBJECT_MEMORY",
        "too many objects are loaded",
    ),
    (
        rc::SESSION_MEMORY,
        "SESSION_MEMORY",
        "too many sessions are open",
    ),
    (
        rc::SESSION_HANDLES,
        "SESSION_HANDLES",
        "too many sessions are open",
    ),
    (
        rc::OBJECT_HANDLES,
        "OBJECT_HANDLES",
        "too many objects are loaded",
    ),
    (0x907, "LOCALITY", ""),
    (rc::YIELDED, "YIELDED", "the TPM was busy for too long"),
    (0x909, "CANCELED", ""),
    (rc::TESTING, "TESTING", "the TPM tests itself for too long"),
    (
        rc::NV_RATE,
        "NV_RATE",
        "the TPM was written too often; wait a minute",
    ),
    (
        rc::LOCKOUT,
        "LOCKOUT",
        "wrong authorization values were given too often; wait for the recovery time, or clear \
         the lockout with tpm2_dictionarylockout --clear-lockout",
    ),
    (rc::RETRY, "RETRY", "the TPM was busy for too long"),
    (
        0x923,
        "NV_UNAVAILABLE",
        "the TPM cannot write now; try again",
    ),
];

impl ResponseCode {
    /// `None` for success.
    #[must_use]
    pub fn new(code: u32) -> Option<Self> {
        (code != 0).then_some(Self(code))
    }

    /// The code without the layer that reports it and, in format one, without the number of the
    /// parameter, handle or session that it is about.
    #[must_use]
    pub fn base(self) -> u32 {
        let code = self.0 & 0xffff;
        if code & 0x80 == 0 { code } else { code & 0xbf }
    }

    /// The parameter, handle or session that a code of format one is about.
    fn subject(self) -> Option<String> {
        let (code, number) = (self.0 & 0xffff, self.0 >> 8 & 0xf);
        let is_format_one = code & 0x80 != 0;
        if !is_format_one || number == 0 {
            return None;
        }
        Some(match (code & 0x40 != 0, number) {
            (true, number) => format!("parameter {number}"),
            (false, number @ 1..8) => format!("handle {number}"),
            (false, number) => format!("session {}", number - 8),
        })
    }

    /// Whether the same command may succeed a little later.
    pub(crate) fn is_transient(self) -> bool {
        let transient = [rc::RETRY, rc::YIELDED, rc::TESTING, rc::NV_RATE];
        transient.contains(&self.base())
    }

    /// Whether the TPM has no room for what the command loads.
    pub(crate) fn is_out_of_room(self) -> bool {
        let full = [
            rc::OBJECT_MEMORY,
            rc::SESSION_MEMORY,
            rc::SESSION_HANDLES,
            rc::OBJECT_HANDLES,
        ];
        full.contains(&self.base())
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = NAMES.iter().find(|(code, ..)| *code == self.base());
        let (name, advice) =
            named.map_or(("response code", ""), |(_, name, advice)| (*name, *advice));
        if named.is_some() {
            f.write_str("TPM_RC_")?;
        }
        write!(f, "{name} ({:#05x}", self.0)?;
        if let Some(subject) = self.subject() {
            write!(f, ", {subject}")?;
        }
        f.write_str(")")?;
        if advice.is_empty() {
            return Ok(());
        }
        write!(f, ": {advice}")
    }
}

impl fmt::Debug for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResponseCode({:#x})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_their_names() {
        for (code, expected) in [
            (
                0x18b,
                "TPM_RC_HANDLE (0x18b, handle 1): nothing is at this handle",
            ),
            (
                0x98e,
                "TPM_RC_AUTH_FAIL (0x98e, session 1): the authorization",
            ),
            (
                0x1df,
                "TPM_RC_INTEGRITY (0x1df, parameter 1): it was wrapped",
            ),
            (0x921, "TPM_RC_LOCKOUT (0x921): wrong authorization values"),
            (0xb_0143, "TPM_RC_COMMAND_CODE (0xb0143): the TPM does not"),
            (0x084, "TPM_RC_VALUE (0x084)"),
            (0x17f, "response code (0x17f)"),
        ] {
            let text = ResponseCode(code).to_string();
            assert!(text.starts_with(expected), "{text}");
        }
        assert_eq!(ResponseCode::new(0), None);
        assert!(ResponseCode(0x922).is_transient() && !ResponseCode(0x921).is_transient());
    }
}
