//! The desk as somebody sees it: a panel sees of the looks only its own, on every door.

use crate::access::Rights;
use crate::dmx::State;
use crate::wire::DeskView;

pub(super) fn desk_view(state: &State, rights: &Rights) -> DeskView {
    let mut view = DeskView::from(state);
    if let Rights::Panel(panel) = rights {
        view.scene = view.scene.filter(|scene| panel.looks.iter().any(|look| look.as_str() == scene.as_str()));
        view.fades.clear();
    }
    view
}
