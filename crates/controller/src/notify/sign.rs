//! The signature of a Standard Webhook (specification 1.0.0, "Signature scheme", symmetric).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// How long a secret is, in bytes (the same table of the specification).
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

/// Why a secret can not sign. Says nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadSecret {
    #[error("it is not \"whsec_\" and base64")]
    Form,
    #[error("it has {0} bytes, and 24 to 64 are asked for")]
    Length(usize),
}

/// The value of `webhook-signature` for a message that is sent at `seconds` after the Unix epoch.
pub(super) fn signature(secret: &str, id: &str, seconds: u64, body: &str) -> Result<String, BadSecret> {
    let text = secret.strip_prefix(PREFIX).ok_or(BadSecret::Form)?;
    let key = BASE64_STANDARD.decode(text).map_err(|_| BadSecret::Form)?;
    if !LENGTHS.contains(&key.len()) {
        return Err(BadSecret::Length(key.len()));
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| BadSecret::Length(key.len()))?;
    for part in [id, ".", &seconds.to_string(), ".", body] {
        mac.update(part.as_bytes());
    }
    Ok(format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_example_is_signed_as_published() {
        // The test vector of the reference libraries (standard-webhooks/standard-webhooks, libraries).
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let made = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(made.as_deref(), Ok("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    }

    #[test]
    fn a_secret_that_is_none_is_refused_without_being_shown() {
        let short = format!("whsec_{}", BASE64_STANDARD.encode([7; 23]));
        let long = format!("whsec_{}", BASE64_STANDARD.encode([7; 65]));
        for (secret, why) in [
            ("hunter2", BadSecret::Form),
            ("whsec_hunter2!", BadSecret::Form),
            (short.as_str(), BadSecret::Length(23)),
            (long.as_str(), BadSecret::Length(65)),
        ] {
            let error = signature(secret, "a", 1, "{}").unwrap_err();
            assert_eq!(error, why);
            assert!(!error.to_string().contains("hunter2"));
        }
    }
}
