//! A reverse proxy in front of the emulator and the API server: forwards bytes unchanged, keeps a journal of what
//! passed, injects faults, and stops the world at a given write so that a test can kill the daemon there
//! (testbed-aws.md §8: P1, P2, P10, P12, P13 and of P4 lost answers and delays).
//!
//! It runs on threads of its own, so tests may block while they wait.

mod crash;
mod decode;
mod journal;
mod rule;

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self as client, SendRequest};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

pub use crash::{Crash, CrashPoint, Side};
pub use decode::{Call, Plane};
pub use journal::{Counts, Entry, Journal};
pub use rule::{Fault, Match, Rule};

use crash::{Crashes, Verdict};
use rule::Armed;

type Body = BoxBody<Bytes, hyper::Error>;

/// One journal, one set of rules and one crash point for all servers that it stands in front of.
pub struct Proxy {
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

struct Shared {
    started: Instant,
    journal: Mutex<Journal>,
    rules: Mutex<Vec<Armed>>,
    crashes: Arc<Crashes>,
}

/// Why a connection ends without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the proxy drops this connection on purpose")]
struct Dropped;

impl Proxy {
    pub fn new() -> Proxy {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .thread_name("proxy")
            .build()
            .expect("a runtime for the proxy");
        let shared = Shared {
            started: Instant::now(),
            journal: Mutex::default(),
            rules: Mutex::default(),
            crashes: Arc::default(),
        };
        Proxy {
            shared: Arc::new(shared),
            runtime: Some(runtime),
        }
    }

    /// Stands in front of `upstream` (`http://127.0.0.1:PORT`) and returns the address to use instead.
    pub fn front(&self, plane: Plane, upstream: &str) -> String {
        let upstream: SocketAddr = upstream
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .parse()
            .expect("an upstream by its address");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener
            .set_nonblocking(true)
            .expect("a listener without blocking");
        let address = listener.local_addr().expect("the port that was given");
        let shared = Arc::clone(&self.shared);
        let runtime = self
            .runtime
            .as_ref()
            .expect("the proxy runs until it is dropped");
        runtime.spawn(async move {
            let listener =
                tokio::net::TcpListener::from_std(listener).expect("a listener for tokio");
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::spawn(serve(Arc::clone(&shared), plane, upstream, stream));
            }
        });
        format!("http://{address}")
    }

    pub fn journal(&self) -> Journal {
        lock(&self.shared.journal).clone()
    }

    /// The number of calls so far, for `journal().since(mark)`.
    pub fn mark(&self) -> usize {
        lock(&self.shared.journal).len()
    }

    pub fn add(&self, rule: Rule) {
        lock(&self.shared.rules).push(Armed::new(rule));
    }

    pub fn clear_rules(&self) {
        lock(&self.shared.rules).clear();
    }

    /// Arms a crash point; its counting begins now.
    pub fn crash_at(&self, point: CrashPoint) -> Crash {
        Crash::arm(&self.shared.crashes, point)
    }

    /// Forgets journal, rules and crash point: as new, for the next test.
    pub fn clear(&self) {
        self.clear_rules();
        self.shared.crashes.disarm();
        *lock(&self.shared.journal) = Journal::default();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// One connection of a client, with at most one of our own to the server behind it.
async fn serve(shared: Arc<Shared>, plane: Plane, upstream: SocketAddr, stream: TcpStream) {
    let kept = Arc::new(tokio::sync::Mutex::new(None));
    let service = service_fn(move |request| {
        let connection = Upstream {
            address: upstream,
            kept: Arc::clone(&kept),
        };
        handle(Arc::clone(&shared), plane, connection, request)
    });
    // Its errors are clients that went away, and connections that were dropped on purpose.
    let _ = server::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn handle(
    shared: Arc<Shared>,
    plane: Plane,
    upstream: Upstream,
    request: Request<Incoming>,
) -> Result<Response<Body>, Dropped> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else {
        return Err(Dropped);
    };
    let body = body.to_bytes();
    let call = decode::decode(plane, &head, &body);
    let number = shared.begin(&call);
    let fault = shared.fault(&call);
    if let Some(fault) = &fault {
        shared.note(number, |entry| entry.fault = Some(fault.label()));
        if let Some(answer) = fault.answer(&call) {
            shared.note(number, |entry| entry.answered = true);
            return Ok(answer.map(full));
        }
    }
    match &fault {
        Some(Fault::ResetBefore) => return Err(Dropped),
        Some(Fault::Delay(time)) => tokio::time::sleep(*time).await,
        _ => {}
    }
    let verdict = if call.is_write() {
        shared.crashes.see(&call)
    } else {
        Verdict::Pass
    };
    if matches!(verdict, Verdict::HoldBefore | Verdict::Frozen) {
        let what = if matches!(verdict, Verdict::Frozen) {
            "held: after the crash point"
        } else {
            "crash point: before"
        };
        shared.note(number, |entry| entry.fault = Some(what.to_owned()));
        shared.crashes.hold(&call, &verdict).await;
        return Err(Dropped);
    }

    // In a task of its own: a caller that goes away does not undo what it has sent.
    let forwarding = forward(
        Arc::clone(&shared),
        number,
        call.clone(),
        upstream,
        head,
        body,
    );
    let answer = tokio::spawn(forwarding).await.map_err(|_| Dropped)?;
    if matches!(verdict, Verdict::HoldAfter) {
        shared.note(number, |entry| {
            entry.fault = Some("crash point: after".to_owned())
        });
        shared.crashes.hold(&call, &verdict).await;
        return Err(Dropped);
    }
    match &fault {
        Some(Fault::ResetAfter) => return Err(Dropped),
        Some(Fault::AnswerLate(time)) => tokio::time::sleep(*time).await,
        _ => {}
    }
    shared.note(number, |entry| entry.answered = true);
    Ok(answer)
}

/// Sends the request on; the answer is read whole, but for watches, which pass as they come.
async fn forward(
    shared: Arc<Shared>,
    number: usize,
    call: Call,
    upstream: Upstream,
    head: Parts,
    body: Bytes,
) -> Response<Body> {
    let answer = match upstream.send(&head, body).await {
        Ok(answer) => answer,
        Err(error) => return bad_gateway(&error),
    };
    let (mut head, body) = answer.into_parts();
    strip(&mut head.headers);
    let status = head.status.as_u16();
    if call.is_watch() && head.status.is_success() {
        shared.note(number, |entry| entry.status = Some(status));
        head.headers.remove(CONTENT_LENGTH);
        return Response::from_parts(head, body.boxed());
    }
    match body.collect().await {
        Ok(body) => {
            let body = body.to_bytes();
            shared.note(number, |entry| entry.status = Some(status));
            if let Some(violation) = journal::violation(&call, status, &head.headers, &body) {
                lock(&shared.journal).violations.push(violation);
            }
            Response::from_parts(head, full(body))
        }
        Err(error) => bad_gateway(&error),
    }
}

/// The way to the server behind one client connection.
#[derive(Clone)]
struct Upstream {
    address: SocketAddr,
    kept: Arc<tokio::sync::Mutex<Option<SendRequest<Full<Bytes>>>>>,
}

#[derive(Debug, thiserror::Error)]
enum UpstreamError {
    #[error("no connection to the server behind the proxy")]
    Connect(#[source] std::io::Error),
    #[error("the server behind the proxy did not answer")]
    Answer(#[source] hyper::Error),
}

impl Upstream {
    async fn send(&self, head: &Parts, body: Bytes) -> Result<Response<Incoming>, UpstreamError> {
        let mut kept = self.kept.lock().await;
        if let Some(mut sender) = kept.take()
            && sender.ready().await.is_ok()
        {
            match sender.send_request(rebuilt(head, body.clone())).await {
                Ok(answer) => {
                    *kept = Some(sender);
                    return Ok(answer);
                }
                // Closed by the server before anything was sent: once more on a new connection.
                Err(error) if error.is_canceled() => {}
                Err(error) => return Err(UpstreamError::Answer(error)),
            }
        }
        let stream = TcpStream::connect(self.address)
            .await
            .map_err(UpstreamError::Connect)?;
        let _ = stream.set_nodelay(true);
        let (mut sender, connection) = client::handshake(TokioIo::new(stream))
            .await
            .map_err(UpstreamError::Answer)?;
        tokio::spawn(connection);
        let answer = sender
            .send_request(rebuilt(head, body))
            .await
            .map_err(UpstreamError::Answer)?;
        *kept = Some(sender);
        Ok(answer)
    }
}

fn rebuilt(head: &Parts, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = head.uri.clone();
    *request.headers_mut() = head.headers.clone();
    strip(request.headers_mut());
    request
}

/// Takes off what belongs to one connection only.
fn strip(headers: &mut HeaderMap) {
    headers.remove(CONNECTION);
    if headers.remove(TRANSFER_ENCODING).is_some() {
        headers.remove(CONTENT_LENGTH);
    }
}

fn full(body: Bytes) -> Body {
    Full::new(body)
        .map_err(|never: Infallible| match never {})
        .boxed()
}

fn bad_gateway(error: &dyn std::error::Error) -> Response<Body> {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    let mut answer = Response::new(full(Bytes::from(text)));
    *answer.status_mut() = StatusCode::BAD_GATEWAY;
    answer
}

impl Shared {
    fn begin(&self, call: &Call) -> usize {
        let mut journal = lock(&self.journal);
        journal.entries.push(Entry {
            at: self.started.elapsed(),
            call: call.clone(),
            status: None,
            answered: false,
            fault: None,
        });
        journal.len() - 1
    }

    /// Completes an entry, unless the journal was cleared meanwhile.
    fn note(&self, number: usize, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = lock(&self.journal).entries.get_mut(number) {
            change(entry);
        }
    }

    /// Every rule counts the call; the first whose turn it is decides.
    fn fault(&self, call: &Call) -> Option<Fault> {
        let mut faults = lock(&self.rules)
            .iter_mut()
            .filter_map(|rule| rule.take(call))
            .collect::<Vec<_>>();
        (!faults.is_empty()).then(|| faults.swap_remove(0))
    }
}

/// A test that failed while it held a lock has its own message; the others go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
