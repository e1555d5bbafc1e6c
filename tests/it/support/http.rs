//! A blocking request to a loopback server, for talking to the bed's agent from any test.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// Long enough for a reset of a full bed on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Sends JSON, answers JSON; what goes wrong is told as text.
pub fn json(method: &str, base: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
    let address = base.trim_start_matches("http://");
    let body = body.map(Value::to_string).unwrap_or_default();
    let told = |error: std::io::Error| format!("{method} {base}{path}: {error}");
    let mut stream = TcpStream::connect(address).map_err(told)?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(told)?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).map_err(told)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(told)?;
    let (head, content) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let value: Value = serde_json::from_str(content)
        .map_err(|error| format!("{method} {path}: {error}: {content}"))?;
    if head.split(' ').nth(1) == Some("200") {
        Ok(value)
    } else {
        Err(value["error"].as_str().unwrap_or(content).to_owned())
    }
}
