//! The program as a user runs it: the binary in a directory of its own, fed, watched and ended.

mod grpc;
pub mod harness;
pub mod inputs;
mod poster;
mod receiver;
mod told;

mod agents;
mod alertmanager;
mod api;
mod command_line;
mod dead_letters;
mod delivery;
mod feedback;
mod files;
mod floods;
mod fluent;
mod garbage;
mod hostile;
mod http;
mod http_server;
mod incidents;
mod kafka;
mod life_cycle;
mod partial;
mod pipelines;
mod recordings;
mod scan;
mod secrecy;
mod silence;
mod variants;
mod vector;
