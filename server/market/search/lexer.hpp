// The words of a query.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace fallow::market::search {

enum class TokenKind { word, quoted, symbol, end };

struct Token {
    TokenKind kind = TokenKind::end;
    std::string_view text;  ///< without quotes
    std::size_t begin = 0;
    std::size_t end = 0;
};

/// Words are letters, digits and _ . $ / : + - %; symbols are ( ) , = != < <= > >= ~ (<> reads as !=). The
/// last token is the end. invalid_field at a character that is none of these.
[[nodiscard]] Result<std::vector<Token>> tokens_of(std::string_view text);

/// An error at a place of a query: "At character 7: …", counted from 1.
[[nodiscard]] Error query_error(std::size_t position, std::string_view sentence);

}  // namespace fallow::market::search
