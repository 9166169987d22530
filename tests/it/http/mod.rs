//! REST (CONTRACT section 3): every route of the heart, every refusal; a refusal changes nothing.

mod about;
mod access;
mod also_port;
mod app;
mod commands;
mod documents;
mod refusals;
