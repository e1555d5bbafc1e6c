use std::collections::BTreeMap;

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};

use super::*;
use crate::aws::governor::Rate;

mod emulator;
mod lookup;
mod wire;

/// Everything at one address, as fast as it goes, with keys that mean nothing.
async fn sdk(url: &str, vpc_id: &str) -> Sdk {
    let options = SdkOptions {
        vpc_id: vpc_id.to_owned(),
        ..options(url)
    };
    with_keys(&options).await
}

async fn with_keys(options: &SdkOptions) -> Sdk {
    let keys = Credentials::new("test", "test", None, None, "tests");
    let shared = shared_config(options)
        .await
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .build();
    Sdk::of_config(&shared, options)
}

fn options(url: &str) -> SdkOptions {
    SdkOptions {
        region: "us-east-1".to_owned(),
        vpc_id: "vpc-1".to_owned(),
        endpoints: Endpoints::all(url),
        timeouts: Timeouts {
            connect: Duration::from_secs(1),
            attempt: Duration::from_secs(10),
            operation: Duration::from_secs(10),
        },
        rates: Rates::all(Rate {
            per_second: 1000.0,
            burst: 1000,
        }),
    }
}

#[tokio::test]
async fn nothing_is_retried_and_every_timeout_is_set() {
    let sdk = with_keys(&options("http://127.0.0.1:1")).await;
    macro_rules! check {
        ($client:expr) => {
            let config = $client.config();
            let retry = config.retry_config().unwrap();
            assert_eq!(retry.max_attempts(), 1);
            let timeouts = config.timeout_config().unwrap();
            assert_eq!(timeouts.connect_timeout(), Some(Duration::from_secs(1)));
            for timeout in [
                timeouts.read_timeout(),
                timeouts.operation_attempt_timeout(),
                timeouts.operation_timeout(),
            ] {
                assert_eq!(timeout, Some(Duration::from_secs(10)));
            }
            assert_eq!(config.app_name().unwrap().to_string(), "albsync");
        };
    }
    check!(sdk.elb);
    check!(sdk.ec2);
    check!(sdk.iam);
    check!(sdk.sts);
    check!(sdk.eks);
    check!(sdk.acm);
    check!(sdk.waf);
}
