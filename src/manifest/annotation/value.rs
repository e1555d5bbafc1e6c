//! What annotations' values are made of, in AWS's terms; the model uses the same types.

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name {
            $(#[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// All of them, as they are spelled.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// As ELBv2 and annotations spell it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Exactly as spelled, case and all.
            pub fn from_word(text: &str) -> Option<Self> {
                match text { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}
pub(super) use words;

words!(
    /// Whether a balancer is reachable from the internet.
    Scheme { Internal "internal", InternetFacing "internet-facing" }
);
words!(
    /// Whether targets are nodes or pods.
    TargetType { Instance "instance", Ip "ip" }
);
words!(
    /// Address families of a balancer.
    IpAddressType {
        Ipv4 "ipv4",
        Dualstack "dualstack",
        DualstackWithoutPublicIpv4 "dualstack-without-public-ipv4",
    }
);
words!(
    /// Of a listener, a backend or a health check.
    Protocol { Http "HTTP", Https "HTTPS" }
);
words!(
    /// Version of HTTP to the targets.
    ProtocolVersion { Http1 "HTTP1", Http2 "HTTP2", Grpc "GRPC" }
);

/// One condition of a rule. Texts are as written: ELBv2 checks more than LBC does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "field")]
pub enum Condition {
    HostHeader { values: Patterns },
    PathPattern { values: Patterns },
    HttpHeader { name: String, values: Patterns },
    HttpRequestMethod { values: Vec<String> },
    QueryString { values: Vec<QueryPair> },
    SourceIp { values: Vec<String> },
}

/// Either wildcard patterns or regular expressions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Patterns {
    Values(Vec<String>),
    Regex(Vec<String>),
}

impl Patterns {
    /// The texts, whatever they are.
    pub fn texts(&self) -> &[String] {
        match self {
            Self::Values(texts) | Self::Regex(texts) => texts,
        }
    }
}

impl From<Vec<String>> for Patterns {
    fn from(values: Vec<String>) -> Self {
        Self::Values(values)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct QueryPair {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    pub value: String,
}

/// One rewrite of a rule's requests (ingress-model §5.7).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum Transform {
    UrlRewrite { rewrites: Vec<Rewrite> },
    HostHeaderRewrite { rewrites: Vec<Rewrite> },
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rewrite {
    pub regex: String,
    pub replace: String,
}
