//! The native media plane of Consilium. `plane` and what it is made of is pure: bytes and time are arguments.
#![deny(unsafe_code)]
#![allow(clippy::manual_clamp)] // max and min bound what is not a number too

pub mod bandwidth;
pub mod board;
pub mod control;
pub mod course;
pub mod dependency;
pub mod descriptor;
pub mod dice;
pub mod framing;
pub mod history;
pub mod incoming;
pub mod keyframe;
pub mod layers;
pub mod loss;
pub mod nack;
pub mod outbox;
pub mod outgoing;
pub mod overuse;
pub mod pacer;
pub mod plane;
pub mod pli;
pub mod probing;
pub mod rate;
pub mod receive;
pub mod reception;
pub mod red;
pub mod reorder;
pub mod replay;
pub mod rtcp;
pub mod rtp;
pub mod sending;
pub mod sendlog;
pub mod sequence;
pub mod slab;
pub mod srtp;
pub mod transport;
pub mod twcc;

pub mod directory;
pub mod io;
#[cfg(feature = "python")]
mod parsing;
#[cfg(feature = "python")]
mod python;
#[cfg(feature = "python")]
mod sealing;
pub mod sender;
pub mod streams;
pub mod system;
