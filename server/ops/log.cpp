#include "ops/log.hpp"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <mutex>
#include <utility>

namespace fallow::ops {
namespace {

/// spdlog writes the time and the level; the rest of the object is ready-made JSON.
constexpr const char* line_pattern = R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})";

class FunctionSink final : public spdlog::sinks::base_sink<std::mutex> {
  public:
    explicit FunctionSink(std::function<void(std::string_view)> function)
        : function_(std::move(function)) {}

  protected:
    void sink_it_(const spdlog::details::log_msg& message) override {
        spdlog::memory_buf_t buffer;
        formatter_->format(message, buffer);
        function_(std::string_view(buffer.data(), buffer.size()));
    }
    void flush_() override {}

  private:
    std::function<void(std::string_view)> function_;
};

spdlog::level::level_enum spdlog_level(Level level) {
    switch (level) {
        case Level::debug:
            return spdlog::level::debug;
        case Level::info:
            return spdlog::level::info;
        case Level::warn:
            return spdlog::level::warn;
        case Level::error:
            return spdlog::level::err;
    }
    return spdlog::level::err;
}

struct ValueText {
    std::string operator()(std::string_view text) const { return json_string(redacted(text)); }
    std::string operator()(std::int64_t number) const { return std::to_string(number); }
    std::string operator()(bool truth) const { return truth ? "true" : "false"; }
};

std::string members(std::string_view message, std::initializer_list<LogField> fields) {
    std::string text = "\"message\":" + json_string(redacted(message));
    for (const LogField& field : fields) {
        text.append(",\"").append(field.name).append("\":");
        text += std::visit(ValueText{}, field.value);
    }
    return text;
}

}  // namespace

std::optional<Level> parse_level(std::string_view name) {
    if (name == "debug") return Level::debug;
    if (name == "info") return Level::info;
    if (name == "warn") return Level::warn;
    if (name == "error") return Level::error;
    return std::nullopt;
}

struct Log::Impl {
    spdlog::logger logger;

    Impl(Level least, spdlog::sink_ptr sink, std::string line_end) : logger("fallow", std::move(sink)) {
        logger.set_formatter(std::make_unique<spdlog::pattern_formatter>(
            line_pattern, spdlog::pattern_time_type::utc, std::move(line_end)));
        logger.set_level(spdlog_level(least));
    }

    void write(Level level, std::string_view message, std::initializer_list<LogField> fields) {
        const auto wanted = spdlog_level(level);
        if (!logger.should_log(wanted)) return;
        const std::string text = members(message, fields);
        logger.log(wanted, spdlog::string_view_t(text.data(), text.size()));
    }
};

Log::Log(Level least)
    : impl_(std::make_unique<Impl>(least, std::make_shared<spdlog::sinks::stderr_sink_mt>(), "\n")) {}
Log::Log(Level least, std::function<void(std::string_view line)> sink)
    : impl_(std::make_unique<Impl>(least, std::make_shared<FunctionSink>(std::move(sink)), "")) {}
Log::~Log() = default;

void Log::debug(std::string_view message, std::initializer_list<LogField> fields) {
    impl_->write(Level::debug, message, fields);
}
void Log::info(std::string_view message, std::initializer_list<LogField> fields) {
    impl_->write(Level::info, message, fields);
}
void Log::warn(std::string_view message, std::initializer_list<LogField> fields) {
    impl_->write(Level::warn, message, fields);
}
void Log::error(std::string_view message, std::initializer_list<LogField> fields) {
    impl_->write(Level::error, message, fields);
}

void Log::access(const AccessLine& line) {
    impl_->write(line.status == 500 ? Level::error : Level::info, "request",
                 {{"request_id", line.request_id},
                  {"method", line.method},
                  {"path", line.path},
                  {"status", std::int64_t{line.status}},
                  {"bytes_in", line.bytes_in},
                  {"bytes_out", line.bytes_out},
                  {"duration_us", line.duration_us},
                  {"remote_address", line.remote_address},
                  {"user_agent", line.user_agent},
                  {"traceparent", line.traceparent}});
}

}  // namespace fallow::ops
