// A signed quote as a document: its text, the server's signature, and what the text says. The server keeps
// no copy; whoever orders with a quote sends both texts back.
#pragma once

#include <string>
#include <string_view>

#include "auth/signing.hpp"
#include "base/result.hpp"
#include "ledger/quote.hpp"

namespace fallow::api {

/// {"quote","server_signature", and the facts}
[[nodiscard]] std::string quote_document(ledger::QuoteFacts facts, const auth::SigningKey& key);

/// The facts of a text that this server's key has signed. signature_invalid for any other text.
[[nodiscard]] Result<ledger::QuoteFacts> open_quote(std::string_view text, std::string_view signature,
                                                    const auth::SigningKey& key);

}  // namespace fallow::api
