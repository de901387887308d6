#include <charconv>
#include <nlohmann/json.hpp>

#include "fallow/errors.hpp"
#include "fallow/http_client.hpp"

namespace fallow::sdk {
namespace {

std::string text_of(const nlohmann::json& document, const char* name) {
    const auto found = document.find(name);
    return found != document.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string describe(const Problem& problem) {
    std::string text = problem.code.empty() ? "HTTP " + std::to_string(problem.status) : problem.code;
    if (!problem.detail.empty()) {
        text += ": " + problem.detail;
    } else if (!problem.title.empty()) {
        text += ": " + problem.title;
    }
    if (!problem.pointer.empty()) text += " (" + problem.pointer + ")";
    return text;
}

}  // namespace

ApiError::ApiError(Problem problem) : std::runtime_error(describe(problem)), problem_(std::move(problem)) {}

std::optional<std::int64_t> retry_after_ms(const HttpResponse& response) {
    const std::string_view text = response.header("retry-after");
    std::int64_t seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    constexpr std::int64_t day = 86'400;
    if (text.empty() || error != std::errc() || end != text.data() + text.size() || seconds < 0 ||
        seconds > day)
        return std::nullopt;
    return seconds * 1000;
}

Problem problem_of(const HttpResponse& response) {
    Problem problem;
    problem.status = response.status;
    problem.retry_after_ms = retry_after_ms(response);
    const auto document = nlohmann::json::parse(response.body, nullptr, false);
    if (!document.is_object() || !response.header("content-type").starts_with("application/problem+json"))
        return problem;
    problem.code = text_of(document, "code");
    problem.title = text_of(document, "title");
    problem.detail = text_of(document, "detail");
    problem.pointer = text_of(document, "pointer");
    problem.request_id = text_of(document, "request_id");
    if (const auto explanation = document.find("explanation"); explanation != document.end())
        problem.explanation = explanation->dump();
    const auto retryable = document.find("retryable");
    problem.retryable = retryable != document.end() && retryable->is_boolean() && retryable->get<bool>();
    return problem;
}

}  // namespace fallow::sdk
