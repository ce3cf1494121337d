//! The sequence of events, and which of them a block holds.
//!
//! Owns: the generator's configuration and the order of events. Guarantees: a block is a pure function of its number.
//! Does **not** guarantee: that a truncated last group of `out_of_order` holds the group's earliest events.
//! Depends on the crate `nexmark`. Start reading at [`Sequence::rows`].

use crate::error::{Error, Kind, Result};
use nexmark::EventGenerator;
use nexmark::config::NexmarkConfig;
use nexmark::event::{Auction, Bid, Event, EventType, Person};

/// Events of all kinds in a block: some 15,000 bids, made in a few milliseconds by one thread. A multiple of 50, the
/// period in which the kinds repeat, so that every block of an ordered sequence has as many rows.
pub(super) const CHUNK_EVENTS: u64 = 16_000;

/// The generator shuffles a group by this stride; a group of a multiple of it would repeat one event for ever.
const SHUFFLE_STRIDE: u64 = 953;

/// What the options say about the sequence.
pub(super) struct Shape {
    /// `None`: without end.
    pub(super) events: Option<u64>,
    /// Events per second of event time.
    pub(super) rate: u64,
    pub(super) base_time_ms: u64,
    /// Events are shuffled in groups of so many; 1: not at all.
    pub(super) group: u64,
    /// `None`: all kinds.
    pub(super) filter: Option<EventType>,
}

/// Every event of given options, in the order in which they are given.
pub(super) struct Sequence {
    shape: Shape,
    generator: EventGenerator,
    persons_per_period: u64,
    auctions_per_period: u64,
    period: u64,
}

/// The events of a block, by kind, and the order in which the kinds came.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) persons: Vec<Person>,
    pub(super) auctions: Vec<Auction>,
    pub(super) bids: Vec<Bid>,
    pub(super) order: Vec<EventType>,
}

impl Sequence {
    /// Errors: the group is one that the generator cannot shuffle.
    pub(super) fn new(shape: Shape) -> Result<Self> {
        if shape.group.is_multiple_of(SHUFFLE_STRIDE) {
            let message =
                format!("option `out_of_order` cannot be a multiple of {SHUFFLE_STRIDE}: events would repeat");
            return Err(Error::new(Kind::Sql, message));
        }
        // Two equal rates: the generator's rate is constant.
        let config = NexmarkConfig {
            base_time: shape.base_time_ms,
            first_rate: shape.rate as usize,
            next_rate: shape.rate as usize,
            out_of_order_group_size: shape.group as usize,
            ..NexmarkConfig::default()
        };
        Ok(Sequence {
            persons_per_period: config.person_proportion as u64,
            auctions_per_period: config.auction_proportion as u64,
            period: (config.person_proportion + config.auction_proportion + config.bid_proportion) as u64,
            generator: EventGenerator::new(config),
            shape,
        })
    }

    /// The events of a block that pass the filter.
    pub(super) fn rows(&self, block: u64) -> Rows {
        let mut rows = Rows::default();
        self.visit(block, |generator| {
            let Some(event) = generator.next() else { return };
            rows.order.push(event.event_type());
            match event {
                Event::Person(person) => rows.persons.push(person),
                Event::Auction(auction) => rows.auctions.push(auction),
                Event::Bid(bid) => rows.bids.push(bid),
            }
        });
        rows
    }

    /// How many events of a block pass the filter.
    pub(super) fn count(&self, block: u64) -> usize {
        self.range(block).filter(|place| self.passes(*place)).count()
    }

    /// For every row of a block, how long after `base_time` it happened, in milliseconds.
    pub(super) fn elapsed_ms(&self, block: u64) -> Vec<u64> {
        let mut elapsed = Vec::new();
        self.visit(block, |generator| {
            elapsed.push(generator.timestamp().saturating_sub(self.shape.base_time_ms));
        });
        elapsed
    }

    /// Calls `at` with the generator standing at every event that passes. Events that do not pass are not generated,
    /// which the generator's own filter cannot do without losing the order of shuffled groups.
    fn visit(&self, block: u64, mut at: impl FnMut(&mut EventGenerator)) {
        let mut generator = self.generator.clone();
        for place in self.range(block).filter(|place| self.passes(*place)) {
            if generator.offset() != place {
                generator = generator.with_offset(place);
            }
            at(&mut generator);
        }
    }

    fn range(&self, block: u64) -> std::ops::Range<u64> {
        let end = block.saturating_add(CHUNK_EVENTS);
        block..end.min(self.shape.events.unwrap_or(end))
    }

    fn passes(&self, place: u64) -> bool {
        let Some(filter) = self.shape.filter else {
            return true;
        };
        // As the generator shuffles: the event's number decides its kind, its place only when it comes.
        let group = self.shape.group;
        let number = place / group * group + place.wrapping_mul(SHUFFLE_STRIDE) % group;
        let rest = number % self.period;
        let kind = if rest < self.persons_per_period {
            EventType::Person
        } else if rest < self.persons_per_period + self.auctions_per_period {
            EventType::Auction
        } else {
            EventType::Bid
        };
        kind == filter
    }
}
