//! What a tablet needs to trust this appliance.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// Who vouches for the certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TrustSource {
    /// Nobody: TLS is off, or does not serve now.
    #[default]
    None,
    /// Whoever signed the user's own files.
    OwnFiles,
    /// This appliance's authority.
    Authority {
        /// What a list of authorities shows.
        title: String,
        /// Its certificate.
        der: Vec<u8>,
        /// SHA-256 of that: `AB:CD:…`.
        fingerprint: String,
    },
}

/// What the page about trust shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Who vouches.
    pub source: TrustSource,
    /// The port of https; 0 while TLS is off.
    pub port: u16,
    /// The plain port of the web.
    pub plain_port: u16,
}

impl TrustSource {
    /// The certificate of the authority in the one form that everybody takes (RFC 7468): curl and mosquitto take no other.
    #[must_use]
    pub fn pem(&self) -> Option<String> {
        let Self::Authority { der, .. } = self else { return None };
        Some(format!("-----BEGIN CERTIFICATE-----\n{}-----END CERTIFICATE-----\n", base64(der)))
    }

    /// The same as a configuration profile for iPad, iPhone and macOS (Apple, "Configuration Profile Reference"). It has
    /// identifiers of its own, so that a new one replaces the old one of the same authority.
    #[must_use]
    pub fn mobileconfig(&self) -> Option<String> {
        let Self::Authority { title, der, .. } = self else { return None };
        let (inner, outer) = (uuid(der, b"certificate"), uuid(der, b"profile"));
        let data = base64(der);
        let title = escaped(title);
        Some(format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>PayloadContent</key>
	<array>
		<dict>
			<key>PayloadCertificateFileName</key>
			<string>dmxd.cer</string>
			<key>PayloadContent</key>
			<data>
{data}			</data>
			<key>PayloadDisplayName</key>
			<string>{title}</string>
			<key>PayloadIdentifier</key>
			<string>dmxd.{inner}</string>
			<key>PayloadType</key>
			<string>com.apple.security.root</string>
			<key>PayloadUUID</key>
			<string>{inner}</string>
			<key>PayloadVersion</key>
			<integer>1</integer>
		</dict>
	</array>
	<key>PayloadDisplayName</key>
	<string>{title}</string>
	<key>PayloadDescription</key>
	<string>Lets this device trust the lighting appliance. It can vouch for this network only.</string>
	<key>PayloadIdentifier</key>
	<string>dmxd.{outer}</string>
	<key>PayloadRemovalDisallowed</key>
	<false/>
	<key>PayloadType</key>
	<string>Configuration</string>
	<key>PayloadUUID</key>
	<string>{outer}</string>
	<key>PayloadVersion</key>
	<integer>1</integer>
</dict>
</plist>
"#
        ))
    }
}

/// An identifier that belongs to the certificate, in the form of a UUID.
fn uuid(der: &[u8], what: &[u8]) -> String {
    let digest = Sha256::new().chain_update(what).chain_update(der).finalize();
    let mut text = String::new();
    for (n, byte) in digest.iter().take(16).enumerate() {
        if [4, 6, 8, 10].contains(&n) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02X}"); // a String takes everything
    }
    text
}

/// RFC 4648, in lines of 64 characters.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for line in bytes.chunks(48) {
        for group in line.chunks(3) {
            let number =
                group.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
            for place in 0..4 {
                let digit = DIGITS.get((number >> (18 - 6 * place) & 63) as usize).filter(|_| place <= group.len());
                text.push(digit.map_or('=', |digit| char::from(*digit)));
            }
        }
        text.push('\n');
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [("", ""), ("f", "Zg==\n"), ("fo", "Zm8=\n"), ("foo", "Zm9v\n"), ("foobar", "Zm9vYmFy\n")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb; 49]).lines().map(str::len).collect::<Vec<_>>(), [64, 4]);
    }

    #[test]
    fn a_profile_of_the_same_authority_is_the_same_and_names_what_people_see() {
        let source = |title: &str, der: u8| TrustSource::Authority {
            title: title.into(),
            der: vec![der; 100],
            fingerprint: String::new(),
        };
        let profile = source("dmxd <a>", 1).mobileconfig().unwrap();
        assert_eq!(Some(&profile), source("dmxd <a>", 1).mobileconfig().as_ref());
        assert_ne!(Some(&profile), source("dmxd <a>", 2).mobileconfig().as_ref());
        assert!(profile.contains("<string>dmxd &lt;a&gt;</string>"));
        assert_eq!(TrustSource::OwnFiles.mobileconfig(), None);
    }
}
