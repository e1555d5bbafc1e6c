//! `albsync run`: the daemon.

use std::{path::Path, sync::Arc};

use clap::Args;
use tokio::sync::mpsc;

use super::{ChecksArg, CliError, Common, Exit, client, connect, logging};
use crate::{
    aws::cache::Cached,
    config::{Config, LogFormat},
    converge::{Context, world::World},
    daemon::{self, socket},
    model::call::chain,
    report::Reporter,
    source::Mirror,
    store::{Store, StoreError},
};

#[derive(Debug, Args)]
pub struct RunArgs {
    /// Repository to watch, in place of the configured one
    #[arg(long, value_name = "URL", env = "ALBSYNC_SOURCE_URL")]
    pub url: Option<String>,
    /// Branch to watch, in place of the configured one
    #[arg(long, value_name = "NAME", env = "ALBSYNC_SOURCE_BRANCH")]
    pub branch: Option<String>,
    /// Time between two looks at the repository, such as 30s
    #[arg(long, value_name = "TIME", env = "ALBSYNC_SOURCE_INTERVAL")]
    pub interval: Option<String>,
    /// Time between two sweeps over everything, such as 5m
    #[arg(long, value_name = "TIME", env = "ALBSYNC_SWEEP_PERIOD")]
    pub sweep: Option<String>,
    #[command(flatten)]
    pub checks: ChecksArg,
}

/// Everything is checked before anything starts; then runs until told to leave.
///
/// # Errors
/// The configuration cannot be used, another daemon holds the state, or a client cannot be built.
pub fn run(common: &Common, args: &RunArgs) -> Result<Exit, CliError> {
    let overrides = args
        .checks
        .over(client::overrides(common))
        .set("source.url", "--url", args.url.clone())
        .set("source.branch", "--branch", args.branch.clone())
        .set("source.interval", "--interval", args.interval.clone())
        .set("sweep.period", "--sweep", args.sweep.clone());
    let config = client::config_with(common, &overrides)?;
    let format = match config.log.format {
        LogFormat::Auto => super::LogFormat::Auto,
        LogFormat::Text => super::LogFormat::Text,
        LogFormat::Json => super::LogFormat::Json,
    };
    logging::start(&config.log.level, format)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::new(Exit::Failed, format!("no threads: {error}")))?;
    let done = runtime.block_on(start(config));
    // A fetch that hangs in the kernel must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    done
}

async fn start(config: Config) -> Result<Exit, CliError> {
    let store = open(&config.state_dir)?;
    if let Some(recovered) = &store.opened().recovered {
        tracing::error!(%recovered, "the store was not usable and is built anew from git, the cluster and AWS");
    }
    let source = Mirror::open(&config.state_dir, &config.source)
        .map_err(|error| CliError::new(Exit::Usage, chain(&error)))?;
    let cluster = connect::cluster(&config).await?;
    let path = daemon::socket_path(&config);
    let listener = socket::bind(&path).map_err(|error| {
        CliError::usage(format!("{}: {error}", path.display())).hint("see the key `socket`")
    })?;
    let aws = connect::aws(&config).await;
    let aws = aws.with_clients(Arc::new(connect::Secrets(cluster.clone())));
    let (changed, changes) = mpsc::channel(256);
    let watch = cluster.watch(changed);
    let reporter = Reporter::new(daemon::first_status(&config));
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        source = %config.source.url,
        branch = %config.source.branch,
        cluster = %config.cluster.name,
        socket = %path.display(),
        "albsync runs"
    );
    let world = World::new(connect::vpc_id(&config), store.opened().needs_full_scan());
    let cx = Context {
        config: Arc::new(config),
        source: Arc::new(source),
        aws: Arc::new(Cached::new(Arc::new(aws))),
        cluster: Arc::new(cluster),
        store,
        reporter,
        world,
    };
    daemon::run(cx, listener, changes).await;
    watch.abort();
    let _ = std::fs::remove_file(&path);
    Ok(Exit::Done)
}

fn open(state_dir: &Path) -> Result<Store, CliError> {
    Store::open(state_dir).map_err(|error| {
        let held = matches!(error, StoreError::Held { .. });
        let error = CliError::new(Exit::Usage, chain(&error));
        if held {
            error.hint("stop it, or give this daemon a state directory of its own")
        } else {
            error
        }
    })
}
