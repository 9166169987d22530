//! The one runner of all outputs.
use super::*;
#[derive(Debug)]
pub(super) enum Order { Rescan, Reopen(tokio::sync::oneshot::Sender<Result<String, Fault>>) }
pub(super) struct Port<D>(D);
impl<D: Driver> Port<D> {
    pub(super) fn new(_: Spec, _: D, _: Park, _: watch::Receiver<crate::engine::Latest>, _: Health, _: &crate::metrics::Output) -> (Self, watch::Receiver<PortStatus>, mpsc::Sender<Order>) { todo!() }
    pub(super) async fn run(self, _: stop::Stop) {}
}
