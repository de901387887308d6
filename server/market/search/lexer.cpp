#include "market/search/lexer.hpp"

#include <fmt/format.h>

namespace fallow::market::search {
namespace {

bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_.$/:+-%").find(c) != std::string_view::npos;
}

/// The length of the symbol that `rest` begins with, or 0.
std::size_t symbol_size(std::string_view rest) {
    for (const std::string_view symbol : {"!=", "<=", ">=", "<>", "==", "(", ")", ",", "=", "<", ">", "~"})
        if (rest.starts_with(symbol)) return symbol.size();
    return 0;
}

}  // namespace

Error query_error(std::size_t position, std::string_view sentence) {
    return refuse(ErrorCode::invalid_field, fmt::format("At character {}: {}", position + 1, sentence));
}

Result<std::vector<Token>> tokens_of(std::string_view text) {
    std::vector<Token> tokens;
    std::size_t at = 0;
    while (at < text.size()) {
        const char c = text[at];
        std::size_t end = at;
        if (is_space(c)) {
            ++at;
            continue;
        }
        if (c == '"' || c == '\'') {
            end = text.find(c, at + 1);
            if (end == std::string_view::npos)
                return query_error(at, fmt::format("The text that begins with {} has no end.", c));
            tokens.push_back({TokenKind::quoted, text.substr(at + 1, end - at - 1), at, end + 1});
            at = end + 1;
            continue;
        }
        while (end < text.size() && is_word(text[end]))
            ++end;
        const TokenKind kind = end > at ? TokenKind::word : TokenKind::symbol;
        if (kind == TokenKind::symbol) end = at + symbol_size(text.substr(at));
        if (end == at)
            return query_error(at, c > ' ' && c < 0x7f
                                       ? fmt::format("\"{}\" has no meaning here; put texts in quotes.", c)
                                       : "This character has no meaning here; put texts in quotes.");
        tokens.push_back({kind, text.substr(at, end - at), at, end});
        at = end;
    }
    tokens.push_back({TokenKind::end, {}, text.size(), text.size()});
    return tokens;
}

}  // namespace fallow::market::search
