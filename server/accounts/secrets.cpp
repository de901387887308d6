#include "accounts/secrets.hpp"

#include <algorithm>

namespace fallow::accounts {
namespace {

bool is_letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

}  // namespace

Status check_secret_name(std::string_view name, std::string_view pointer) {
    const auto fits = [](char c) { return is_letter_or_digit(c) || c == '_' || c == '-' || c == '.'; };
    const bool is_good = !name.empty() && name.size() <= limits::name_bytes_max &&
                         std::ranges::all_of(name, fits) && name.front() != '-' && name.front() != '.';
    if (is_good) return Done{};
    return refuse(ErrorCode::invalid_field,
                  "A secret's name has 1 to 100 letters, digits, _, - and ., and begins with a letter, a "
                  "digit or _.",
                  std::string(pointer));
}

std::string binding_of(const Secret& secret) {
    return secret.organization.text() + "\n" + secret.id.text() + "\n" + secret.name + "\n" +
           std::to_string(secret.version);
}

}  // namespace fallow::accounts
