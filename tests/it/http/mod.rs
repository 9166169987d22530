//! REST (CONTRACT section 3): every route of the light, every refusal; a refusal changes nothing.

mod about;
mod access;
mod also_port;
mod app;
mod commands;
mod documents;
mod refusals;
