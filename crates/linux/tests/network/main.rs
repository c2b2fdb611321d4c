//! Networks of nodes and pods, made by hand: who reaches whom, what the tools print of it, what captures see.

mod asked;
mod bridges;
mod capture;
mod connections;
mod errors;
mod flows;
mod lab;
mod nft;
