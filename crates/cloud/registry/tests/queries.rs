//! The engine (plan, index, pages, evaluator) against an evaluator that shares no code with it: the
//! same twins, the same queries, the same rows; and against the examples of Azure's documents.

#![allow(
    clippy::unwrap_used,
    reason = "a failed expectation is how a test fails"
)]

#[path = "queries/documented.rs"]
mod documented;
#[path = "queries/generate.rs"]
mod generate;
#[path = "queries/naive.rs"]
mod naive;
#[path = "queries/shape.rs"]
mod shape;
#[path = "queries/world.rs"]
mod world;

use std::collections::BTreeSet;

use generate::Dice;
use registry::Registry;
use serde_json::Value;
use shape::Shape;
use tokio::task::JoinSet;
use world::{fleet, multiset, open, run};

/// Fleets of 20 to 60 devices that are made at random, each with as many random queries.
const FLEETS: u64 = 8;
const QUERIES: usize = 340;

/// A fleet of more devices than a query looks at in one step, with fewer queries.
const LARGE: usize = 320;
const QUERIES_OF_LARGE: usize = 60;

/// What was compared.
#[derive(Default)]
struct Compared {
    queries: BTreeSet<String>,
    /// Pairs of a query and a twin.
    pairs: usize,
    /// Rows that were found.
    rows: usize,
    plans: Vec<String>,
}

/// The rows of a random query are those that the naive evaluator finds.
async fn compare(
    registry: &Registry,
    documents: &(Vec<Value>, Vec<Value>),
    dice: &mut Dice,
    compared: &mut Compared,
) {
    let (from, documents) = match dice.one_in(4) {
        true => ("devices.modules", &documents.1),
        false => ("devices", &documents.0),
    };
    let condition = generate::condition(dice, 3);
    let shape = Shape::roll(dice);
    let text = shape.text(from, &condition.text());
    let expected = multiset(shape.rows(documents, &condition));
    let (rows, plan) = run(registry, &text, [1, 7, 1000][dice.below(3)]).await;
    compared.pairs += documents.len();
    compared.rows += rows.len();
    compared.plans.push(plan);
    let rows = multiset(rows);
    match shape.top() {
        // Any of the rows that there are, as many as asked for.
        Some(top) => {
            let counted: usize = rows.values().sum();
            assert_eq!(counted, expected.values().sum::<usize>().min(top), "{text}");
            for (row, count) in rows {
                let all = expected.get(&row);
                assert!(all.is_some_and(|all| count <= *all), "{text}: {row}");
            }
        }
        None => assert_eq!(rows, expected, "{text}"),
    }
    compared.queries.insert(text);
}

async fn compare_all(seed: u64, devices: Option<usize>, queries: usize) -> Compared {
    let directory = tempfile::tempdir().unwrap();
    let registry = open(directory.path()).await;
    let mut dice = Dice::new(20_261_129 + seed);
    let devices = devices.unwrap_or_else(|| 20 + dice.below(41));
    let documents = fleet(&registry, &mut dice, devices).await;
    let mut compared = Compared::default();
    for _ in 0..queries {
        compare(&registry, &documents, &mut dice, &mut compared).await;
    }
    compared
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_agrees_with_an_independent_evaluator() {
    let mut fleets = JoinSet::new();
    fleets.spawn(compare_all(0, Some(LARGE), QUERIES_OF_LARGE));
    for seed in 1..=FLEETS {
        fleets.spawn(compare_all(seed, None, QUERIES));
    }
    let mut all = Compared::default();
    for mut one in fleets.join_all().await {
        all.queries.append(&mut one.queries);
        all.pairs += one.pairs;
        all.rows += one.rows;
        all.plans.append(&mut one.plans);
    }
    assert!(all.queries.len() >= 2_500, "{}", all.queries.len());
    assert!(all.pairs >= 100_000, "{}", all.pairs);
    // Queries that find nothing would prove little, and so would plans that are never chosen.
    assert!(all.rows > 2 * all.queries.len(), "{}", all.rows);
    for plan in ["scan", "index(deviceId)", "index(tags."] {
        let chosen = all.plans.iter().filter(|one| one.starts_with(plan)).count();
        assert!(chosen >= 50, "{plan}: {chosen}");
    }
}
