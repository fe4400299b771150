//! Tests that sums are exact: thousands of concurrent calls are closed, dropped and fed after they were closed, while scopes
//! are reset. The counts must equal what was cleared plus what remains.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use tonic::Code;

use super::{Accounting, Attempt, Bounds, Ledger, Opening, Owner, Prices, Scope};
use crate::figure::{AwsOperation, Bill, NO_MODEL, Rpc};

const WORKERS: u64 = 8;
const CALLS_PER_WORKER: u64 = 2_000;
const SESSIONS: [&str; 4] = ["a", "b", "c", "d"];
const MODELS: [&str; 3] = ["User", "Document", NO_MODEL];
const CODES: [Code; 4] = [Code::Ok, Code::NotFound, Code::DeadlineExceeded, Code::Cancelled];
const RPCS: [Rpc; 3] = [Rpc::Save, Rpc::Get, Rpc::Query];

/// Whole numbers that look random; the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.roll(choices.len() as u64)).unwrap()]
    }
}

/// What the workers did, beside the accounting: by session and model.
#[derive(Default)]
struct Truth {
    cells: Mutex<HashMap<(Option<&'static str>, &'static str), Bill>>,
}

impl Truth {
    fn add(&self, session: Option<&'static str>, model: &'static str, bill: &Bill) {
        *self.cells.lock().entry((session, model)).or_default() += bill;
    }

    fn sum(&self, of: impl Fn(Option<&str>, &str) -> bool) -> Bill {
        let cells = self.cells.lock();
        let wanted = cells.iter().filter(|((session, model), _)| of(*session, model));
        wanted.fold(Bill::default(), |mut sum, (_, bill)| {
            sum += bill;
            sum
        })
    }
}

fn accounting() -> Arc<Accounting> {
    Arc::new(Accounting::new(Bounds::default(), Prices::shipped()))
}

fn open(accounting: &Arc<Accounting>, rpc: Rpc, session: Option<&str>) -> Arc<Ledger> {
    let opening = Opening {
        owner: Owner::EVERYONE,
        account: None,
        rpc,
        request_id: None,
        session,
    };
    Ledger::open(accounting, &opening)
}

/// Begins every session, so that calls that are refused are posted there too.
fn begin_sessions(accounting: &Arc<Accounting>, truth: &Truth) {
    for session in SESSIONS {
        let call = open(accounting, Rpc::Get, Some(session));
        call.close(Code::Ok);
        truth.add(Some(session), NO_MODEL, &call.bill());
    }
}

/// A few random counts; attempts that are under way are kept for later.
fn feed(call: &Arc<Ledger>, dice: &mut Dice, under_way: &mut Vec<Attempt>) {
    for _ in 0..dice.roll(4) {
        let operation = dice.of(&[
            AwsOperation::PutItem,
            AwsOperation::Query,
            AwsOperation::Decrypt,
            AwsOperation::UploadPart,
        ]);
        let mut attempt = call.attempt(operation);
        match dice.roll(4) {
            0 => under_way.push(attempt),
            1 => attempt.end_unsent(),
            _ => drop(attempt),
        }
        call.add_capacity(0.5, dice.roll(3) as f64);
        let (items, scanned) = (dice.roll(5), dice.roll(9));
        call.count(|bill| {
            bill.items += items;
            bill.scanned += scanned;
        });
        call.add_failed_item(dice.of(&[Code::DataLoss, Code::FailedPrecondition]));
        let bytes = dice.roll(1 << 20);
        call.count(|bill| bill.uploaded_bytes += bytes);
    }
}

/// Closes a call; a quarter of them while another thread counts for it, as work does that outlives its caller.
fn close_while_fed(call: &Arc<Ledger>, code: Code, dice: &mut Dice, under_way: &mut Vec<Attempt>) {
    if dice.roll(4) > 0 {
        assert!(call.close(code).is_some());
        return;
    }
    thread::scope(|threads| {
        threads.spawn(|| (0..8).for_each(|_| feed(call, dice, under_way)));
        thread::yield_now();
        assert!(call.close(code).is_some());
    });
}

/// One call from its opening to the end of all work for it; its whole bill.
fn run(accounting: &Arc<Accounting>, dice: &mut Dice, truth: &Truth) {
    let session = (dice.roll(3) > 0).then(|| dice.of(&SESSIONS));
    let model = dice.of(&MODELS);
    let call = open(accounting, dice.of(&RPCS), session);
    if model != NO_MODEL {
        call.set_model(model);
    }
    let mut under_way = Vec::new();
    feed(&call, dice, &mut under_way);
    let code = dice.of(&CODES);
    close_while_fed(&call, code, dice, &mut under_way);
    assert!(call.close(Code::Ok).is_none(), "closed once");
    if dice.roll(2) == 0 {
        feed(&call, dice, &mut under_way);
    }
    for mut attempt in under_way {
        match dice.roll(3) {
            0 => attempt.end_unsent(),
            _ => drop(attempt),
        }
    }
    truth.add(session, model, &call.bill());
    let finished = accounting.finished(Owner::EVERYONE, call.request_id());
    assert!(finished.is_none_or(|finished| finished.bill == call.bill() && finished.code == code));
}

/// Resets random scopes until `stop` is set. Returns the number of resets that found something, and what they cleared by
/// session.
fn reset_until(
    accounting: &Accounting,
    stop: &AtomicBool,
    seed: u64,
) -> (u64, HashMap<Option<String>, Bill>) {
    let mut dice = Dice(seed);
    let (mut resets, mut cleared) = (0, HashMap::<_, Bill>::new());
    while !stop.load(Ordering::Relaxed) {
        let session = (dice.roll(2) == 0).then(|| dice.of(&SESSIONS).to_owned());
        let model = (dice.roll(2) == 0).then(|| dice.of(&MODELS).to_owned());
        let scope = Scope { session, model };
        if let Some(bill) = accounting.reset(Owner::EVERYONE, &scope) {
            resets += u64::from(bill.calls > 0);
            *cleared.entry(scope.session).or_default() += &bill;
        }
        thread::yield_now();
    }
    (resets, cleared)
}

fn sum<'a>(bills: impl Iterator<Item = &'a Bill>) -> Bill {
    bills.fold(Bill::default(), |mut sum, bill| {
        sum += bill;
        sum
    })
}

/// Runs all calls with resets in between. Returns the number of resets that found something, and what they cleared by
/// session.
fn run_all(accounting: &Arc<Accounting>, truth: &Truth) -> (u64, HashMap<Option<String>, Bill>) {
    let stop = AtomicBool::new(false);
    thread::scope(|threads| {
        let resetters = [7_919, 15_838].map(|seed| {
            let stop = &stop;
            threads.spawn(move || reset_until(accounting, stop, seed))
        });
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                threads.spawn(move || {
                    let mut dice = Dice(worker * 104_729 + 1);
                    (0..CALLS_PER_WORKER).for_each(|_| run(accounting, &mut dice, truth));
                })
            })
            .collect();
        let ended: Vec<_> = workers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        stop.store(true, Ordering::Relaxed);
        ended.into_iter().for_each(|worker| worker.unwrap());
        let [(resets, mut cleared), (more, rest)] = resetters.map(|resetter| resetter.join().unwrap());
        rest.iter()
            .for_each(|(session, bill)| *cleared.entry(session.clone()).or_default() += bill);
        (resets + more, cleared)
    })
}

#[test]
fn nothing_is_lost_or_counted_twice() {
    let (accounting, truth) = (accounting(), Truth::default());
    begin_sessions(&accounting, &truth);
    let (resets, cleared) = run_all(&accounting, &truth);
    assert!(resets > 10, "resets fell between the calls");
    let whole = |session: Option<&str>| {
        let session = session.map(str::to_owned);
        let cleared = cleared.get(&session).cloned().unwrap_or_default();
        let totals = accounting
            .totals(Owner::EVERYONE, &Scope { session, model: None })
            .unwrap();
        assert_eq!(sum(totals.by_model.values()), totals.total);
        assert_eq!(sum(totals.by_operation.values()), totals.total);
        sum([&cleared, &totals.total].into_iter())
    };
    assert_eq!(whole(None), truth.sum(|_, _| true));
    assert_eq!(
        whole(None).calls,
        WORKERS * CALLS_PER_WORKER + SESSIONS.len() as u64
    );
    for name in SESSIONS {
        assert_eq!(
            whole(Some(name)),
            truth.sum(|session, _| session == Some(name)),
            "{name}"
        );
    }
}

#[test]
fn every_scope_sums_to_what_was_counted() {
    let (accounting, truth) = (accounting(), Truth::default());
    begin_sessions(&accounting, &truth);
    let mut dice = Dice(4_711);
    (0..2_000).for_each(|_| run(&accounting, &mut dice, &truth));
    for session in [None, Some("a"), Some("d")] {
        for model in [None, Some("User"), Some(NO_MODEL)] {
            let scope = Scope {
                session: session.map(str::to_owned),
                model: model.map(str::to_owned),
            };
            let expected = truth.sum(|in_session, of_model| {
                session.is_none_or(|name| in_session == Some(name))
                    && model.is_none_or(|name| of_model == name)
            });
            assert_eq!(
                accounting.totals(Owner::EVERYONE, &scope).unwrap().total,
                expected,
                "{scope:?}"
            );
            assert!(expected.calls > 0);
        }
    }
    assert!(
        accounting
            .totals(
                Owner::EVERYONE,
                &Scope {
                    session: Some("nobody".to_owned()),
                    model: None
                }
            )
            .is_none()
    );
    assert!(
        accounting
            .reset(
                Owner::EVERYONE,
                &Scope {
                    session: Some("nobody".to_owned()),
                    model: None
                }
            )
            .is_none()
    );
}

#[test]
fn a_reset_clears_its_own_scope_only() {
    let accounting = accounting();
    let bill = |session: &str| {
        let call = open(&accounting, Rpc::Get, Some(session));
        call.set_model("User");
        call.close(Code::Ok).unwrap()
    };
    bill("a");
    bill("a");
    assert_eq!(bill("b").session.unwrap().calls, 1);
    let of = |session: Option<&str>| Scope {
        session: session.map(str::to_owned),
        model: None,
    };
    let calls = |session| {
        accounting
            .totals(Owner::EVERYONE, &of(session))
            .unwrap()
            .total
            .calls
    };
    assert_eq!(
        accounting.reset(Owner::EVERYONE, &of(Some("a"))).unwrap().calls,
        2
    );
    assert_eq!((calls(Some("a")), calls(Some("b")), calls(None)), (0, 1, 3));
    assert_eq!(accounting.reset(Owner::EVERYONE, &of(None)).unwrap().calls, 3);
    assert_eq!((calls(Some("a")), calls(Some("b")), calls(None)), (0, 1, 0));
}

#[test]
fn a_session_begins_with_the_first_call_that_passes_its_checks() {
    let accounting = accounting();
    let calls = || {
        let scope = Scope {
            session: Some("a".to_owned()),
            model: None,
        };
        accounting
            .totals(Owner::EVERYONE, &scope)
            .map(|totals| totals.total.calls)
    };
    let refused = open(&accounting, Rpc::Get, Some("a"))
        .close(Code::InvalidArgument)
        .unwrap();
    assert_eq!((refused.session, calls()), (None, None));
    let call = open(&accounting, Rpc::Get, Some("a"));
    assert_eq!(calls(), None, "nothing is known of it yet");
    let attempt = call.attempt(AwsOperation::GetItem);
    assert_eq!(calls(), Some(0));
    drop(attempt);
    call.close(Code::NotFound);
    assert_eq!(calls(), Some(1));
    let refused = open(&accounting, Rpc::Get, Some("a"))
        .close(Code::InvalidArgument)
        .unwrap();
    assert_eq!(
        refused.session.unwrap().failed_calls,
        2,
        "from now on it is billed for all"
    );
    assert_eq!(calls(), Some(2));
}

#[test]
fn a_call_that_does_something_after_it_was_closed_is_billed_whole() {
    let accounting = accounting();
    let call = open(&accounting, Rpc::Save, Some("a"));
    call.close(Code::Cancelled);
    let scope = Scope {
        session: Some("a".to_owned()),
        model: None,
    };
    assert!(accounting.totals(Owner::EVERYONE, &scope).is_none());
    drop(call.attempt(AwsOperation::PutItem));
    assert_eq!(
        accounting.totals(Owner::EVERYONE, &scope).unwrap().total,
        call.bill()
    );
    assert_eq!(call.bill().cancelled_calls, 1);
}

#[test]
fn a_call_is_well_failed_or_cancelled() {
    let ended = |code| {
        let bill = open(&accounting(), Rpc::Get, None).close(code).unwrap().bill;
        (bill.calls, bill.failed_calls, bill.cancelled_calls)
    };
    assert_eq!(ended(Code::Ok), (1, 0, 0));
    assert_eq!(ended(Code::NotFound), (1, 1, 0));
    assert_eq!(ended(Code::Cancelled), (1, 0, 1));
    assert_eq!(ended(Code::DeadlineExceeded), (1, 0, 1));
}

#[test]
fn the_gateways_time_is_the_time_without_an_attempt() {
    let call = open(&accounting(), Rpc::Save, None);
    let pause = Duration::from_millis(20);
    thread::sleep(pause);
    let first = call.attempt(AwsOperation::Decrypt);
    let second = call.attempt(AwsOperation::Decrypt);
    thread::sleep(pause);
    drop(first);
    thread::sleep(pause);
    drop(second);
    let bill = call.close(Code::Ok).unwrap().bill;
    assert!(
        bill.kms_us >= 60_000,
        "concurrent requests must add up: {}",
        bill.kms_us
    );
    assert!(
        bill.gateway_us >= 20_000 && bill.gateway_us <= bill.wall_us - 40_000,
        "{}",
        bill.gateway_us
    );
}

#[test]
fn the_first_name_stands() {
    let accounting = accounting();
    let call = open(&accounting, Rpc::Save, None);
    assert_eq!(call.request_id().len(), 26);
    call.set_request_id("mine");
    call.set_request_id("other");
    assert_eq!(call.request_id(), "mine");
    call.close(Code::Ok);
    assert_eq!(
        accounting.finished(Owner::EVERYONE, "mine").unwrap().rpc,
        Rpc::Save
    );
    let given = Opening {
        owner: Owner::EVERYONE,
        account: None,
        rpc: Rpc::Save,
        request_id: Some("given"),
        session: None,
    };
    let call = Ledger::open(&accounting, &given);
    call.set_request_id("mine");
    assert_eq!(call.request_id(), "given");
}
