//! A process that ends at any point, and the one after it.

use super::*;

#[tokio::test]
async fn a_crash_around_any_call_leaves_nothing_doubled_or_forgotten() {
    let straight = World::new();
    straight.apply(&straight.create_plan()).await;
    let created = straight.summary();
    straight.apply(&straight.delete_plan()).await;
    let deleted = straight.summary();

    let mut crashes = 0;
    for point in 0.. {
        let dir = TempDir::new().unwrap();
        let mut world = World::with(Store::open(dir.path()).unwrap());
        world.account.crash_at(Some(point));
        let mut crashed = run_until_crash(&world, &world.create_plan()).await;
        if crashed {
            world = restart(world, &dir).await;
            converge(&world, World::create_plan).await;
        }
        assert_eq!(world.summary(), created, "point {point}");
        if !crashed {
            world
                .account
                .crash_at(Some(point - 2 * CREATES.len() as u32));
            crashed = run_until_crash(&world, &world.delete_plan()).await;
            if crashed {
                world = restart(world, &dir).await;
            }
            converge(&world, World::delete_plan).await;
            assert_eq!(world.summary(), deleted, "point {point}");
        }
        for create in CREATES {
            let most = if create == "CreateRule" { 2 } else { 1 };
            // A call before whose effect the process ended is repeated.
            assert!(world.account.count(create) <= most + 1, "{create}");
        }
        if !crashed {
            break;
        }
        crashes += 1;
    }
    // Two points at each of eight creates and three deletes.
    assert_eq!(crashes, 22);
}

/// style §3.6: stop after every journal entry, resume.
#[tokio::test]
async fn a_crash_after_any_journal_entry_leaves_nothing_doubled_or_forgotten() {
    let straight = World::new();
    straight.apply(&straight.create_plan()).await;
    let created = straight.summary();

    let mut crashes = 0;
    for stop_at in 0.. {
        let dir = TempDir::new().unwrap();
        let world = World::with(Store::open(dir.path()).unwrap());
        let plan = world.create_plan();
        let seen = AtomicUsize::new(0);
        let progress = |_: Progress<'_>| {
            if seen.fetch_add(1, Ordering::Relaxed) == stop_at {
                // Ends the walk where it stands, without a word on standard error.
                std::panic::resume_unwind(Box::new("crash"));
            }
        };
        let ended = AssertUnwindSafe(apply(
            &plan,
            "test",
            world.ports(),
            &world.store,
            &Stop::never(),
            &world.options,
            &progress,
        ))
        .catch_unwind()
        .await;
        if ended.is_ok() {
            break;
        }
        crashes += 1;
        let world = restart(world, &dir).await;
        converge(&world, World::create_plan).await;
        assert_eq!(world.summary(), created, "entry {stop_at}");
    }
    // Opened, a beginning and an end of nine operations, closed.
    assert_eq!(crashes, 20);
}

async fn run_until_crash(world: &World, plan: &Plan) -> bool {
    let crash = async {
        while !world.account.crashed() {
            yield_now().await;
        }
    };
    tokio::select! {
        biased;
        outcome = world.apply(plan) => {
            assert!(outcome.is_complete(), "{outcome:?}");
            false
        }
        () = crash => true,
    }
}

/// The same world, and a daemon that knows only what is on disk.
async fn restart(world: World, dir: &TempDir) -> World {
    let World {
        account,
        cluster,
        store,
        options,
    } = world;
    drop(store);
    account.crash_at(None);
    let world = World {
        account,
        cluster,
        store: Store::open(dir.path()).unwrap(),
        options,
    };
    let unfinished = world.store.unfinished().unwrap().len();
    let resumed = resume(world.ports(), &world.store, &world.options)
        .await
        .unwrap();
    assert_eq!(resumed.plans, unfinished);
    assert!(world.store.unfinished().unwrap().is_empty());
    world
}

async fn converge(world: &World, planner: fn(&World) -> Plan) {
    for _ in 0..3 {
        let plan = planner(world);
        let empty = plan.is_empty();
        // What the planner finds there without an operation, it lets the store know.
        let outcome = world.apply(&plan).await;
        assert!(outcome.is_complete(), "{outcome:?}");
        if empty {
            return;
        }
    }
    panic!("does not converge");
}
