//! A large body that is being written, and one that no row refers to yet. Both are removed if they are dropped.

use std::io;
use std::sync::Arc;

use ulid::Ulid;

use super::bodies::{Bodies, Sink};

/// A body that is being written; removed on drop.
pub(super) struct BodyWriter {
    sink: Sink,
    body: NewBody,
}

impl BodyWriter {
    /// Begins a body; blocks.
    pub(super) fn begin(bodies: &Arc<Bodies>) -> io::Result<Self> {
        let body = NewBody {
            id: Ulid::generate().to_string(),
            bodies: Arc::clone(bodies),
            kept: false,
        };
        let sink = bodies.create(&body.id)?;
        Ok(Self { sink, body })
    }

    /// Appends bytes; blocks.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sink.append(bytes)
    }

    /// Flushes the body to the disk and gives it its final name; blocks.
    pub(super) fn finish(self) -> io::Result<NewBody> {
        let Self { sink, body } = self;
        body.bodies.publish(sink, &body.id)?;
        Ok(body)
    }
}

/// A complete body that no row refers to yet; removed on drop, unless kept.
pub(super) struct NewBody {
    id: String,
    bodies: Arc<Bodies>,
    kept: bool,
}

impl NewBody {
    /// The id of the body.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Keeps the body: a committed row refers to it.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for NewBody {
    fn drop(&mut self) {
        if !self.kept {
            self.bodies.discard(&self.id);
        }
    }
}
