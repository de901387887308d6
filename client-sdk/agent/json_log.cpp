#include "agent/json_log.hpp"

#include <fmt/format.h>
#include <spdlog/formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <iterator>
#include <memory>

#include "agent/clock.hpp"

namespace fallow::agent {
namespace {

class JsonFormatter final : public spdlog::formatter {
  public:
    void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& target) override {
        using namespace std::chrono;
        const std::int64_t ms = duration_cast<milliseconds>(message.time.time_since_epoch()).count();
        const auto level = spdlog::level::to_string_view(message.level);
        fmt::format_to(std::back_inserter(target), R"({{"time":"{}","level":"{}","message":"{}"}})",
                       format_rfc3339(ms), std::string_view(level.data(), level.size()),
                       json_escaped({message.payload.data(), message.payload.size()}));
        target.push_back('\n');
    }
    [[nodiscard]] std::unique_ptr<formatter> clone() const override {
        return std::make_unique<JsonFormatter>();
    }
};

}  // namespace

std::string json_escaped(std::string_view text) {
    std::string escaped;
    escaped.reserve(text.size());
    for (const char c : text) {
        const auto octet = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            escaped.push_back('\\');
            escaped.push_back(c);
        } else if (octet < 0x20 || octet >= 0x7f) {
            escaped += fmt::format("\\u{:04x}", octet);
        } else {
            escaped.push_back(c);
        }
    }
    return escaped;
}

void log_as_json_lines(const std::string& level) {
    auto logger = spdlog::stderr_logger_mt("fallow-agent");
    logger->set_formatter(std::make_unique<JsonFormatter>());
    logger->set_level(spdlog::level::from_str(level));
    logger->flush_on(spdlog::level::trace);
    spdlog::set_default_logger(std::move(logger));
}

}  // namespace fallow::agent
