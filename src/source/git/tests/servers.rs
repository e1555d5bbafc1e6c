//! Servers on loopback that hang, refuse, redirect or talk nonsense.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::super::{MAX_HANGING, Mirror};
use crate::{config::SourceConfig, source::Source};

/// A server that hands each connection to `answer`; says its address.
fn server(answer: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || answer(stream));
        }
    });
    format!("http://{address}")
}

/// The next request's head, or nothing when the client has gone.
fn head(stream: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        text.push(byte[0]);
    }
    Some(String::from_utf8_lossy(&text).into_owned())
}

fn remote(url: &str, token: Option<&str>, timeout: Duration) -> (TempDir, Mirror) {
    let dir = tempfile::tempdir().unwrap();
    let token_file: Option<PathBuf> = token.map(|token| {
        let file = dir.path().join("token");
        fs::write(&file, token).unwrap();
        file
    });
    let config = SourceConfig {
        url: format!("{url}/team/x.git"),
        token_file,
        timeout,
        ..SourceConfig::default()
    };
    let mirror = Mirror::open(&dir.path().join("state"), &config).unwrap();
    (dir, mirror)
}

const LONG: Duration = Duration::from_secs(20);

#[test]
fn a_silent_server_is_given_up_at_the_deadline() {
    let url = server(|mut stream| {
        let _ = head(&mut stream);
        thread::sleep(Duration::from_secs(60));
    });
    let (_dir, mirror) = remote(&url, None, Duration::from_millis(300));
    let start = Instant::now();
    let error = mirror.fetch().unwrap_err();
    assert_eq!(error.reason(), "Timeout");
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "{:?}",
        start.elapsed()
    );
    assert!(!error.rejects());
}

#[test]
fn servers_that_hang_for_ever_do_not_pile_up_threads() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let url = server(move |stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        thread::sleep(Duration::from_secs(60));
        drop(stream);
    });
    let (_dir, mirror) = remote(&url, None, Duration::from_millis(100));
    for _ in 0..10 {
        assert_eq!(mirror.fetch().unwrap_err().reason(), "Timeout");
    }
    assert!(connections.load(Ordering::SeqCst) <= MAX_HANGING);
}

#[test]
fn a_server_that_stalls_within_an_answer_is_given_up_too() {
    let url = server(|mut stream| {
        let _ = head(&mut stream);
        let _ = stream.write_all(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\nContent-Length: 5000\r\n\r\n001e# service=git-upload-pack\n0000",
        );
        thread::sleep(Duration::from_secs(60));
    });
    let (_dir, mirror) = remote(&url, None, Duration::from_millis(300));
    assert_eq!(mirror.fetch().unwrap_err().reason(), "Timeout");
}

fn unauthorized(seen: &Arc<Mutex<Vec<String>>>) -> String {
    let seen = Arc::clone(seen);
    server(move |mut stream| {
        while let Some(head) = head(&mut stream) {
            seen.lock().unwrap().push(head);
            let answer = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\nContent-Length: 0\r\n\r\n";
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

#[test]
fn wrong_credentials_are_offered_once_and_never_shown() {
    let seen = Arc::default();
    let url = unauthorized(&seen);
    let (_dir, mirror) = remote(&url, Some("canary-token\n"), LONG);
    let error = mirror.fetch().unwrap_err();
    assert_eq!(error.reason(), "AuthenticationFailed");
    let text = error.to_string();
    assert!(text.contains("were offered and not accepted"), "{text}");
    assert!(
        !format!("{text}{error:?}{mirror:?}").contains("canary"),
        "{text}"
    );
    let heads = seen.lock().unwrap().clone();
    let offered = heads
        .iter()
        .filter(|head| head.contains("uthorization: Basic"))
        .count();
    assert_eq!(offered, 1, "{heads:?}");
    assert!(heads.len() <= 3, "{heads:?}");
}

#[test]
fn a_server_that_wants_credentials_where_none_are_set_says_so() {
    let url = unauthorized(&Arc::default());
    let (_dir, mirror) = remote(&url, None, LONG);
    let error = mirror.fetch().unwrap_err();
    assert_eq!(error.reason(), "AuthenticationFailed");
    assert!(error.to_string().contains("source.tokenFile"), "{error}");
}

#[test]
fn an_empty_token_file_is_named() {
    let url = unauthorized(&Arc::default());
    let (dir, mirror) = remote(&url, Some("\n"), LONG);
    let error = mirror.fetch().unwrap_err();
    let expected = format!("{} is empty", dir.path().join("token").display());
    assert!(error.to_string().contains(&expected), "{error}");
}

#[test]
fn a_redirect_elsewhere_gets_no_credentials() {
    let seen = Arc::default();
    let elsewhere = unauthorized(&seen);
    let url = server(move |mut stream| {
        let _ = head(&mut stream);
        let answer = format!(
            "HTTP/1.1 302 Found\r\nLocation: {elsewhere}/team/x.git/info/refs?service=git-upload-pack\r\nContent-Length: 0\r\n\r\n"
        );
        let _ = stream.write_all(answer.as_bytes());
    });
    let (_dir, mirror) = remote(&url, Some("canary-token"), LONG);
    let error = mirror.fetch().unwrap_err();
    assert_eq!(error.reason(), "AuthenticationFailed", "{error}");
    assert!(error.to_string().contains("gets no credentials"), "{error}");
    let heads: Vec<String> = seen.lock().unwrap().clone();
    assert!(
        heads.iter().all(|head| !head.contains("uthorization")),
        "{heads:?}"
    );
}

#[test]
fn statuses_of_the_server_are_explained() {
    let answering = |status: &'static str| {
        server(move |mut stream| {
            let _ = head(&mut stream);
            let _ = stream
                .write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes());
        })
    };
    for (status, reason, word) in [
        ("404 Not Found", "RemoteUnavailable", "no such repository"),
        ("403 Forbidden", "AuthenticationFailed", "forbidden"),
        ("500 Internal Server Error", "RemoteUnavailable", "500"),
        ("200 OK", "RemoteUnavailable", "content-type"),
    ] {
        let (_dir, mirror) = remote(&answering(status), None, LONG);
        let error = mirror.fetch().unwrap_err();
        assert_eq!(error.reason(), reason, "{status}: {error}");
        assert!(error.to_string().contains(word), "{status}: {error}");
    }
    let (_dir, mirror) = remote("http://127.0.0.1:1", None, LONG);
    assert_eq!(mirror.fetch().unwrap_err().reason(), "RemoteUnavailable");
}
