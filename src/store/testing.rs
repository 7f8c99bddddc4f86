//! An outbox of its own, for tests of what reads it.

use std::sync::Arc;

use super::{
    BufferConfig, Commit, Keeper, Message, Outgoing, Reader, SinkOutbox, Store, Tally, in_memory,
};

/// The end at which a test puts messages in. The outbox is closed when it is dropped.
pub(crate) struct Writer {
    store: Store,
}

/// An empty outbox in memory.
pub(crate) fn outbox(buffer: BufferConfig) -> (Writer, Reader) {
    let id = "under_test".into();
    let mut opened = in_memory(&[SinkOutbox { id, buffer }]);
    let writer = Writer {
        store: opened.store,
    };
    (writer, opened.readers.remove(0))
}

impl Writer {
    pub(crate) fn push(&self, message: Message) {
        let sinks = Arc::new([0]);
        self.commit(Commit {
            messages: vec![Outgoing { message, sinks }],
            ..Commit::default()
        });
    }

    pub(crate) fn commit(&self, commit: Commit) {
        if let Keeper::Memory(memory) = &self.store.keeper {
            memory.commit(commit, &self.store.outboxes);
        }
    }

    pub(crate) fn close(&self) {
        self.store.outboxes[0].close();
    }

    pub(crate) fn waiting(&self) -> Tally {
        self.store.waiting(0)
    }

    pub(crate) fn dropped(&self) -> Tally {
        self.store.dropped(0)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.store.is_full(0)
    }

    pub(crate) async fn room(&self) {
        self.store.room().await;
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}
