#include "fallow/human.hpp"

#include <fmt/format.h>

#include <array>
#include <limits>

namespace fallow::sdk {
namespace {

__extension__ typedef __int128 Int128;

constexpr std::int64_t int64_max = std::numeric_limits<std::int64_t>::max();

/// A decimal number without sign and exponent, as value / 10^decimals. At most 18 digits in all, so nothing
/// overflows.
struct Decimal {
    std::int64_t value = 0;
    int decimals = 0;
};

std::optional<Decimal> parse_decimal_number(std::string_view text) {
    Decimal number;
    bool point = false;
    int digits = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '.') {
            if (point || i == 0 || i + 1 == text.size()) return std::nullopt;
            point = true;
            continue;
        }
        if (c < '0' || c > '9' || ++digits > 18) return std::nullopt;
        number.value = number.value * 10 + (c - '0');
        if (point) ++number.decimals;
    }
    if (digits == 0) return std::nullopt;
    return number;
}

/// number × unit, if that is a whole number that fits.
std::optional<std::int64_t> scaled(const Decimal& number, std::int64_t unit) {
    Int128 product = static_cast<Int128>(number.value) * unit;
    for (int i = 0; i < number.decimals; ++i) {
        if (product % 10 != 0) return std::nullopt;
        product /= 10;
    }
    if (product > int64_max) return std::nullopt;
    return static_cast<std::int64_t>(product);
}

std::optional<std::int64_t> parse_scaled(std::string_view text, std::int64_t unit) {
    const auto number = parse_decimal_number(text);
    return number ? scaled(*number, unit) : std::nullopt;
}

struct Unit {
    std::string_view name;
    std::int64_t size;
};

constexpr std::int64_t kib = 1024;
constexpr std::int64_t mib = kib * 1024;
constexpr std::int64_t gib = mib * 1024;
constexpr std::int64_t tib = gib * 1024;

constexpr std::array<Unit, 10> size_units = {{{"TiB", tib},
                                              {"GiB", gib},
                                              {"MiB", mib},
                                              {"KiB", kib},
                                              {"TB", 1'000'000'000'000},
                                              {"GB", 1'000'000'000},
                                              {"MB", 1'000'000},
                                              {"kB", 1'000},
                                              {"B", 1},
                                              {"", 1}}};

constexpr std::array<Unit, 5> duration_units = {
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};

std::size_t leading(std::string_view text, std::string_view set) {
    const auto end = text.find_first_not_of(set);
    return end == std::string_view::npos ? text.size() : end;
}

/// Two decimals, rounded down, without zeros at the end.
std::string hundredths(std::int64_t bytes, std::int64_t unit, std::string_view name) {
    const auto value = static_cast<std::int64_t>(static_cast<Int128>(bytes) * 100 / unit);
    std::string text = fmt::format("{}.{:02}", value / 100, value % 100);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.')) text.pop_back();
    return fmt::format("{} {}", text, name);
}

}  // namespace

std::optional<std::int64_t> parse_usd(std::string_view text) {
    if (text.starts_with('$')) text.remove_prefix(1);
    return parse_scaled(text, 1'000'000);
}

std::string format_usd(std::int64_t micros) {
    const bool negative = micros < 0;
    const std::uint64_t amount =
        negative ? 0 - static_cast<std::uint64_t>(micros) : static_cast<std::uint64_t>(micros);
    std::string text =
        fmt::format("{}${}.{:06}", negative ? "-" : "", amount / 1'000'000, amount % 1'000'000);
    for (int i = 0; i < 4 && text.back() == '0'; ++i)
        text.pop_back();
    return text;
}

std::optional<std::int64_t> parse_duration(std::string_view text) {
    if (text.empty()) return std::nullopt;
    Int128 total = 0;
    std::size_t next_unit = 0;
    while (!text.empty()) {
        const std::size_t digits = leading(text, "0123456789");
        const auto number = parse_decimal_number(text.substr(0, digits));
        if (!number) return std::nullopt;
        text.remove_prefix(digits);
        const std::string_view name = text.substr(0, leading(text, "dhms"));
        while (next_unit < duration_units.size() && duration_units[next_unit].name != name)
            ++next_unit;
        if (next_unit == duration_units.size()) return std::nullopt;
        total += static_cast<Int128>(number->value) * duration_units[next_unit].size;
        if (total > int64_max) return std::nullopt;
        ++next_unit;
        text.remove_prefix(name.size());
    }
    return static_cast<std::int64_t>(total);
}

std::string format_duration(std::int64_t duration_ms) {
    if (duration_ms < 0)
        return "-" + format_duration(duration_ms == -int64_max - 1 ? int64_max : -duration_ms);
    std::string text;
    const auto add = [&text](const std::string& part) {
        if (!text.empty()) text += ' ';
        text += part;
    };
    const std::int64_t days = duration_ms / 86'400'000;
    const std::int64_t hours = duration_ms / 3'600'000 % 24;
    const std::int64_t minutes = duration_ms / 60'000 % 60;
    const std::int64_t seconds = duration_ms / 1'000 % 60;
    const std::int64_t millis = duration_ms % 1'000;
    if (days > 0) add(fmt::format("{}d", days));
    if (hours > 0) add(fmt::format("{}h", hours));
    if (minutes > 0) add(fmt::format("{}m", minutes));
    if (millis > 0) {
        add(fmt::format("{}.{:03}s", seconds, millis));
    } else if (seconds > 0 || text.empty()) {
        add(fmt::format("{}s", seconds));
    }
    return text;
}

std::optional<std::int64_t> parse_size(std::string_view text) {
    const std::size_t digits = leading(text, "0123456789.");
    const auto number = parse_decimal_number(text.substr(0, digits));
    if (!number) return std::nullopt;
    for (const Unit& unit : size_units)
        if (text.substr(digits) == unit.name) return scaled(*number, unit.size);
    return std::nullopt;
}

std::string format_size(std::int64_t bytes) {
    if (bytes >= gib) return hundredths(bytes, gib, "GiB");
    if (bytes >= mib) return hundredths(bytes, mib, "MiB");
    if (bytes >= kib) return hundredths(bytes, kib, "KiB");
    return fmt::format("{} B", bytes);
}

std::optional<std::int64_t> parse_thousandths(std::string_view text) {
    return parse_scaled(text, 1'000);
}

std::string format_thousandths(std::int64_t thousandths) {
    return fmt::format("{}.{:03}", thousandths / 1000, thousandths % 1000);
}

std::optional<std::int64_t> parse_percent_ppm(std::string_view text) {
    if (text.ends_with('%')) text.remove_suffix(1);
    return parse_scaled(text, 10'000);
}

std::string format_ppm(std::int64_t ppm) {
    std::string text = fmt::format("{}.{:04}", ppm / 10'000, ppm % 10'000);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.')) text.pop_back();
    return text + "%";
}

}  // namespace fallow::sdk
