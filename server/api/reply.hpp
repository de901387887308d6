// Making replies.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "http/message.hpp"

namespace fallow::api {

[[nodiscard]] http::Reply json_reply(std::string body, int status = 200);
[[nodiscard]] http::Reply no_content();

/// A reply that was stored, or goes through the engine as status and body alone; its headers follow from
/// them.
[[nodiscard]] http::Reply stored_reply(int status, std::string body, bool replayed);

/// The strong ETag of an object that ends in its version: {…,"version":7} has "7" in quotes.
[[nodiscard]] std::optional<std::string> etag_of(std::string_view body);

/// Adds the ETag of a 200 or 201, and turns a GET whose If-None-Match names it into a 304.
void apply_etag(const http::Request& request, http::Reply& reply);

/// The version that If-Match names: precondition_required without the header, invalid_field when it is not
/// one.
[[nodiscard]] Result<std::int64_t> if_match(const http::Request& request);

/// Whether the request's Accept asks for server-sent events.
[[nodiscard]] bool wants_events(const http::Request& request);

}  // namespace fallow::api
