//! A connection that speaks HTTP, as what answers its requests knows it.

use std::{error::Error, sync::Arc};

use hyper::{
    Request, Response,
    body::{Body, Incoming},
};

use super::{Activity, Connection, Counters, http, inbox};

/// One connection to `service`, whose requests become deliveries `D`, each of which has an outcome `O`.
pub(crate) struct Visit<S, D, O> {
    pub service: Arc<S>,
    pub inbox: inbox::Sender<D, O>,
    pub peer: Arc<str>,
    pub activity: Arc<Activity>,
    pub counters: Arc<Counters>,
}

impl<S, D, O> Visit<S, D, O> {
    /// The life of the connection: `answer` answers each request.
    pub(crate) async fn serve<F, B>(
        service: Arc<S>,
        connection: Connection,
        inbox: inbox::Sender<D, O>,
        answer: impl Fn(Arc<Self>, Request<Incoming>) -> F,
    ) where
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let visit = Arc::new(Self {
            service,
            inbox,
            peer: Arc::clone(&connection.peer),
            activity: Arc::clone(&connection.activity),
            counters: Arc::clone(&connection.counters),
        });
        http::serve(connection, |request| answer(Arc::clone(&visit), request)).await;
    }
}
