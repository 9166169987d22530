//! Reason codes (MQTT 5, section 2.4), and what earlier versions have of them.

/// Why something was, or was not, done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// Done.
    Success = 0x00,
    /// Done, but nobody is there to get it.
    NoSubscribers = 0x10,
    /// There was no such subscription to end.
    NoSubscription = 0x11,
    /// For none of the other reasons.
    Unspecified = 0x80,
    /// Bytes that are no packet.
    Malformed = 0x81,
    /// A packet that is not allowed here.
    ProtocolError = 0x82,
    /// Valid, and not accepted all the same.
    Refused = 0x83,
    /// CONNECT of another version.
    UnsupportedVersion = 0x84,
    /// A client id that is not allowed.
    BadClientId = 0x85,
    /// Wrong user name or password.
    BadLogin = 0x86,
    /// Not allowed.
    NotAuthorized = 0x87,
    /// No room now.
    Unavailable = 0x88,
    /// Enhanced authentication, which is not offered.
    BadAuthMethod = 0x8c,
    /// Silent for longer than its keep-alive.
    KeepAlive = 0x8d,
    /// Another connection has the client id now.
    TakenOver = 0x8e,
    /// A filter that is none.
    BadFilter = 0x8f,
    /// No handshake has this packet id.
    UnknownPacketId = 0x92,
    /// An alias that was not announced, or is too high.
    BadAlias = 0x94,
    /// More bytes than allowed.
    PacketTooLarge = 0x95,
    /// More than its share, or than there is.
    QuotaExceeded = 0x97,
    /// The payload is not what its format says.
    BadPayloadFormat = 0x99,
}

impl Reason {
    /// Its byte on the wire.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Whether it was not done.
    #[must_use]
    pub fn is_error(self) -> bool {
        self.code() >= 0x80
    }

    /// The return code of CONNACK before MQTT 5 (3.1.1, table 3.1). Code 1 is for another version only: paho that was once
    /// told it asks for 3.1 until its process ends.
    #[must_use]
    pub(super) fn return_code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::UnsupportedVersion => 1,
            Self::BadClientId => 2,
            Self::BadLogin => 4,
            Self::NotAuthorized => 5,
            _ => 3,
        }
    }
}
