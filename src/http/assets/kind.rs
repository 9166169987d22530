//! Which files below `src/pwa` belong to the app, their addresses and types. `build.rs` shares this file, so the program
//! and `http.ui_dir` follow the same rules.

/// The address of a file, by its path from the app's folder with `/` between names; `None` if it is not served: tests,
/// folders of tools and their settings, and types, which nothing runs.
pub(super) fn address(path: &str) -> Option<String> {
    let mut names = path.split('/').peekable();
    let mut file = path;
    while let Some(name) = names.next() {
        let is_plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        let is_folder = names.peek().is_some();
        // a name that starts with a dot is hidden, or leads out of the folder
        if name.is_empty()
            || !is_plain
            || name.starts_with('.')
            || is_folder && matches!(name, "tests" | "node_modules")
        {
            return None;
        }
        file = name;
    }
    let is_tool =
        file.ends_with(".test.js") || matches!(file, "jsconfig.json" | "tsconfig.json" | "package.json" | "types.js");
    match path {
        "index.html" => Some("/".into()),
        _ if is_tool || media(file).is_none() => None,
        _ => Some(format!("/{path}")),
    }
}

/// The media type, by a name's ending.
pub(super) fn media(path: &str) -> Option<&'static str> {
    Some(match path.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        _ => return None,
    })
}
