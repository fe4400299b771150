//! One thing about a resource that is not as the models need it. Sends nothing.

use std::time::Duration;

use tokio::time::Instant;

/// The first wait between two looks at a resource.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The longest one.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// One thing about a resource that is missing or differs from what the models need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What exists, a line each; empty if it is missing.
    pub found: Vec<String>,
    /// What the models need, a line each.
    pub wanted: Vec<String>,
    pub(super) remedy: Remedy,
}

/// How a difference is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// By this step.
    Step(Step),
    /// By hand, for this reason.
    Manual(String),
}

/// What `apply` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    CreateTable,
    /// Adds the global index of this name.
    AddIndex(String),
    /// Lets items expire by this attribute.
    EnableTtl(String),
    EnableRecovery,
    CreateBucket,
    AddLifecycle,
    BlockPublicAccess,
    /// Creates a key and its alias.
    CreateKey,
}

/// What is being done, and for how long.
pub type OnProgress<'a> = &'a (dyn Fn(&str, Duration) + Sync);

/// The time that a resource has to become ready.
pub(super) struct Wait<'a> {
    since: Instant,
    timeout: Duration,
    next: Duration,
    on_progress: OnProgress<'a>,
}

impl Difference {
    /// Something that is missing, and is added by a step.
    pub(super) fn missing(wanted: impl Into<String>, step: Step) -> Difference {
        Difference {
            found: Vec::new(),
            wanted: vec![wanted.into()],
            remedy: Remedy::Step(step),
        }
    }

    /// Something that only people can change.
    pub(super) fn manual(
        found: Option<String>,
        wanted: impl Into<String>,
        reason: impl Into<String>,
    ) -> Difference {
        Difference {
            found: found.into_iter().collect(),
            wanted: vec![wanted.into()],
            remedy: Remedy::Manual(reason.into()),
        }
    }

    /// Why it is not changed; `None` if it is.
    pub fn reason(&self) -> Option<&str> {
        match &self.remedy {
            Remedy::Step(_) => None,
            Remedy::Manual(reason) => Some(reason),
        }
    }

    pub(super) fn step(&self) -> Option<&Step> {
        match &self.remedy {
            Remedy::Step(step) => Some(step),
            Remedy::Manual(_) => None,
        }
    }
}

impl<'a> Wait<'a> {
    pub(super) fn new(timeout: Duration, on_progress: OnProgress<'a>) -> Wait<'a> {
        Wait {
            since: Instant::now(),
            timeout,
            next: FIRST_WAIT,
            on_progress,
        }
    }

    /// Reports what is done.
    pub(super) fn report(&self, what: &str) {
        (self.on_progress)(what, self.since.elapsed());
    }

    /// Waits a while for what is being done; fails when the time is over.
    pub(super) async fn pause(&mut self, what: &str) -> Result<(), String> {
        let elapsed = self.since.elapsed();
        (self.on_progress)(what, elapsed);
        if elapsed >= self.timeout {
            let timeout = humantime::format_duration(self.timeout);
            return Err(format!(
                "not done after {timeout}: {what}; run it again to continue"
            ));
        }
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 2).min(LONGEST_WAIT);
        Ok(())
    }
}
