//! A socket that others connect to: each connection is a split.

use super::{Connection, ConnectionReader, shown};
use crate::connectors::stdin::Arriving;
use crate::connectors::{Bell, Next, Source, Split, SplitReader, Splits};
use crate::error::{Error, Result};
use datafusion::arrow::datatypes::SchemaRef;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long the thread that listens is given to hear that it is over.
const GOODBYE: Duration = Duration::from_millis(200);

/// The split that stands for the port until someone connects: it brings the bell that tells of connections. It ends
/// then, so that it holds no watermark back.
const DOOR: u32 = 0;

/// A port that is listened at.
pub struct Listening {
    name: String,
    local: SocketAddr,
    arriving: Arriving,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Every connection so far; the stream until it is read.
    connections: Vec<(Split, Option<TcpStream>)>,
    bells: Vec<Bell>,
    closed: bool,
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Listening {
    /// Errors: the port cannot be listened at.
    pub fn open(address: (String, u16), arriving: Arriving) -> Result<Self> {
        let name = shown(&address);
        let unable = |e: std::io::Error| Error::connector(format!("{name}: cannot listen: {e}")).because(e);
        let listener = TcpListener::bind(&address).map_err(unable)?;
        let local = listener.local_addr().map_err(unable)?;
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        std::thread::Builder::new()
            .name("socket".to_string())
            .spawn(move || accept(&listener, &shared))
            .map_err(unable)?;
        Ok(Listening {
            name,
            local,
            arriving,
            state,
        })
    }
}

fn accept(listener: &TcpListener, state: &Mutex<State>) {
    // A connection that breaks while it is made is nobody's input.
    for stream in listener.incoming() {
        let mut state = lock(state);
        if state.closed {
            return;
        }
        let Ok(stream) = stream else { continue };
        let from = stream.peer_addr().map_or("somewhere".to_string(), |a| a.to_string());
        let split = Split {
            id: DOOR + 1 + state.connections.len() as u32,
            name: format!("socket from {from}"),
        };
        state.connections.push((split, Some(stream)));
        state.bells.iter().for_each(Bell::ring);
    }
}

impl Source for Listening {
    fn schema(&self) -> SchemaRef {
        self.arriving.schema()
    }

    fn bounded(&self) -> bool {
        false
    }

    fn replayable(&self) -> bool {
        false
    }

    fn splits(&self) -> Result<Splits> {
        let door = Split {
            id: DOOR,
            name: self.name.clone(),
        };
        let state = lock(&self.state);
        let connections = state.connections.iter().map(|(split, _)| split.clone());
        Ok(Splits {
            known: std::iter::once(door).chain(connections).collect(),
            more: true,
        })
    }

    fn open(&self, split: &Split, columns: &[usize], bell: Bell) -> Result<Box<dyn SplitReader>> {
        let mut state = lock(&self.state);
        if split.id == DOOR {
            state.bells.push(bell);
            return Ok(Box::new(Door(self.state.clone())));
        }
        let found = state.connections.iter_mut().find(|(s, _)| s.id == split.id);
        let Some(stream) = found.and_then(|(_, stream)| stream.take()) else {
            return Err(Error::internal(format!("{} has a reader already", split.name)));
        };
        let (connection, closed) = Connection::new(Box::new(move || Ok(stream)));
        let lines = self.arriving.reader(connection, true, &split.name, columns, bell);
        Ok(Box::new(ConnectionReader { lines, closed }))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        lock(&self.state).closed = true;
        // The thread hears of it with the next connection, which is this one. If it cannot be made, it waits on.
        TcpStream::connect_timeout(&self.local, GOODBYE).ok();
    }
}

/// Waits for the first connection.
struct Door(Arc<Mutex<State>>);

impl SplitReader for Door {
    fn next(&mut self) -> Result<Next> {
        Ok(match lock(&self.0).connections.is_empty() {
            true => Next::Pending,
            false => Next::Ended,
        })
    }
}
