//! What goes over the wire and what a broken wire means, with servers of the tests' own.

use std::{io::Write, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

/// A server that keeps what it is sent and answers each request with the same text.
async fn listener(answer: &'static str) -> (SocketAddr, mpsc::Receiver<String>) {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let (tx, rx) = mpsc::channel(8);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = socket.accept().await {
            let mut buffer = vec![0; 16384];
            let length = stream.read(&mut buffer).await.unwrap_or(0);
            let _ = tx
                .send(String::from_utf8_lossy(&buffer[..length]).into_owned())
                .await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (address, rx)
}

fn kubeconfig(address: SocketAddr, user: &Value) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let text = json!({"apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]});
    write!(file, "{text}").unwrap();
    file
}

async fn connect(file: &tempfile::NamedTempFile) -> KubeCluster {
    KubeCluster::connect(&ClusterOptions {
        kubeconfig: Some(file.path().to_owned()),
        call_timeout: Duration::from_millis(500),
        ..ClusterOptions::default()
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_bearer_token_is_sent_over_plain_http() {
    let (address, mut requests) = listener(
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 27\r\n\r\n{\"metadata\":{\"uid\":\"u-1\"}}  ",
    )
    .await;
    let mut token = tempfile::NamedTempFile::new().unwrap();
    write!(token, "canary").unwrap();
    for user in [
        json!({"token": "canary"}),
        json!({"tokenFile": token.path()}),
    ] {
        let cluster = connect(&kubeconfig(address, &user)).await;
        assert_eq!(cluster.identity().await.unwrap(), "u-1");
        let request = requests.recv().await.unwrap().to_lowercase();
        assert!(
            request.starts_with("get /api/v1/namespaces/kube-system"),
            "{request}"
        );
        assert!(
            request.contains("authorization: bearer canary"),
            "{request}"
        );
    }
}

#[tokio::test]
async fn a_gateways_404_is_no_proof_of_absence() {
    let (address, _requests) = listener(
        "HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-type: text/html\r\ncontent-length: 22\r\n\r\n<html>not found</html>",
    )
    .await;
    let cluster = connect(&kubeconfig(address, &json!({"token": "t"}))).await;
    let error = cluster.lease("a", "b").await.unwrap_err();
    assert!(!error.is_not_found(), "{error}");
    let (object, _) = config_map("a", "m", json!({}));
    let error = cluster.get(&object).await.unwrap_err();
    assert!(!error.is_not_found(), "{error}");
}

#[tokio::test]
async fn a_write_without_an_answer_has_an_unknown_effect_and_is_sent_once() {
    // Accepts, reads, and says nothing.
    let (address, mut requests) = listener("").await;
    let cluster = connect(&kubeconfig(address, &json!({"token": "canary"}))).await;
    let known = BTreeMap::from([(
        "ConfigMap".to_owned(),
        KindFact {
            plural: "configmaps".to_owned(),
            namespaced: true,
        },
    )]);
    cluster.inner.discovery.remember("v1", known);
    let (object, value) = config_map("a", "m", json!({}));
    let error = cluster.apply(&object, &value, true).await.unwrap_err();
    assert_eq!(
        (error.effect, error.code.as_deref()),
        (Effect::Unknown, None),
        "{error}"
    );
    assert!(!format!("{error:?}").contains("canary"));
    assert!(requests.recv().await.unwrap().starts_with("PATCH "));
    assert!(requests.try_recv().is_err(), "no retry of the client's own");
}

#[tokio::test]
async fn a_watch_that_falls_silent_is_begun_anew() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let (seen, mut watches) = mpsc::channel(64);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = socket.accept().await {
            let seen = seen.clone();
            tokio::spawn(async move {
                let mut buffer = vec![0; 16384];
                let length = stream.read(&mut buffer).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if request.contains("watch=true") {
                    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
                    let _ = stream.write_all(head.as_bytes()).await;
                    if request.contains("/nodes?") {
                        let _ = seen.send(request).await;
                    }
                    // Open and silent, as behind a balancer that forgot the connection.
                    std::future::pending::<()>().await;
                }
                let body = json!({"metadata": {"resourceVersion": "7"}, "items": []}).to_string();
                let head = format!(
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all((head + &body).as_bytes()).await;
            });
        }
    });
    let file = kubeconfig(address, &json!({"token": "t"}));
    let cluster = KubeCluster::connect(&ClusterOptions {
        kubeconfig: Some(file.path().to_owned()),
        watch_timeout: Duration::from_millis(200),
        watch_grace: Duration::from_millis(100),
        ..ClusterOptions::default()
    })
    .await
    .unwrap();
    let (tx, _rx) = mpsc::channel(1);
    let watching = cluster.watch(tx);
    for _ in 0..2 {
        let request = tokio::time::timeout(Duration::from_secs(10), watches.recv()).await;
        let request = request.expect("the silent watch was kept").unwrap();
        assert!(request.contains("resourceVersion=7"), "{request}");
    }
    watching.abort();
}
