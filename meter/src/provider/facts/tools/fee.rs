//! What items cost, by their type.

use wire::usage::Class;

/// What an item costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Fee {
    /// Nothing.
    #[default]
    None,
    /// One of a class.
    Each(Class),
    /// A run of code, and the container that it ran in.
    Container,
    /// Another model's tokens, which `tool_usage` counts.
    Image,
}

impl Fee {
    /// That of a type.
    pub(super) fn of(kind: &str) -> Fee {
        match kind {
            "web_search_call" => Fee::Each(Class::WebSearches),
            "file_search_call" => Fee::Each(Class::FileSearches),
            "x_search_call" => Fee::Each(Class::XSearches),
            "code_interpreter_call" => Fee::Container,
            "image_generation_call" => Fee::Image,
            _ => Fee::None,
        }
    }
}

/// What Groq's tools cost, by the name of what ran, or else by the type: a search, and a page that is opened. To find something
/// in a page that is open is free.
pub(super) fn executed(name: &str) -> Option<Fee> {
    match name {
        "search" | "browser_search" | "browser.search" => Some(Fee::Each(Class::WebSearches)),
        "browser.open" => Some(Fee::Each(Class::WebFetches)),
        "browser.find" => Some(Fee::None),
        _ => None,
    }
}

/// Items that cost nothing beside the tokens, or whose cost is counted elsewhere.
pub(super) const FREE: &[&str] = &[
    "message",
    "reasoning",
    "text",
    "output_text",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "tool_call",
    "invalid_tool_call",
    "computer_call",
    "computer_call_output",
    "mcp_call",
    "mcp_list_tools",
    "mcp_approval_request",
    "mcp_approval_response",
    "local_shell_call",
    "local_shell_call_output",
    "shell_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    "tool_search_call",
    "tool_search_output",
    "compaction",
    "item_reference",
    "program",
    "program_output",
    // What searches found.
    "search_results",
    "fetch_url_results",
];
