//! Policy documents on the wire.

use serde_json::Value;

/// Documents are returned percent-encoded by RFC 3986: `%xx` only, a `+` is a plus (irsa §6.6).
pub(super) fn decode(text: &str) -> Option<Value> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                bytes.push(digit(*high)? * 16 + digit(*low)?);
                rest = tail;
            }
            (b'%', _) => return None,
            (byte, tail) => {
                bytes.push(*byte);
                rest = tail;
            }
        }
    }
    serde_json::from_slice(&bytes).ok()
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// Without whitespace, and with everything beyond Latin-1 escaped, because IAM refuses it raw (irsa §6.4).
pub(super) fn encode(document: &Value) -> String {
    let mut out = String::new();
    for c in document.to_string().chars() {
        if u32::from(c) <= 0xFF {
            out.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}
