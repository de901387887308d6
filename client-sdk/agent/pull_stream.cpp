#include "agent/pull_stream.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

namespace fallow::agent {
namespace {

using nlohmann::json;

constexpr std::size_t line_bytes_max = std::size_t{64} * 1024;
constexpr std::size_t layers_max = 1024;  // an image has 127 at most

constexpr std::array<std::string_view, 2> named = {"Pulling fs layer", "Waiting"};
constexpr std::string_view downloading = "Downloading";
constexpr std::array<std::string_view, 5> here = {"Already exists", "Verifying Checksum",
                                                  "Download complete", "Extracting", "Pull complete"};

bool is_among(const auto& texts, std::string_view text) {
    return std::ranges::find(texts, text) != texts.end();
}

std::string text_of(const json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::int64_t number_of(const json& object, const char* name) {
    const auto found = object.find(name);
    if (found == object.end() || !found->is_number_integer()) return 0;
    return std::max<std::int64_t>(0, found->get<std::int64_t>());
}

}  // namespace

bool PullStream::feed(std::string_view octets) {
    while (!octets.empty()) {
        const std::size_t end = octets.find('\n');
        const std::string_view piece = octets.substr(0, end);
        is_too_long_ = is_too_long_ || line_.size() + piece.size() > line_bytes_max;
        if (!is_too_long_) line_ += piece;
        if (end == std::string_view::npos) break;
        read_line();
        octets.remove_prefix(end + 1);
    }
    const TransferProgress now = progress();
    const bool is_new = now != last_;
    last_ = now;
    return is_new;
}

void PullStream::finish() {
    read_line();
}

void PullStream::read_line() {
    const std::string text = std::exchange(line_, {});
    if (std::exchange(is_too_long_, false)) return;
    const json line = json::parse(text, nullptr, false);
    if (!line.is_object()) return;
    if (error_.empty()) error_ = text_of(line, "error");
    const json detail = line.value("progressDetail", json::object());
    read_status(text_of(line, "id"), text_of(line, "status"), number_of(detail, "current"),
                number_of(detail, "total"));
}

/// What is told of the image as a whole has an id, too, which is no layer's.
void PullStream::read_status(const std::string& id, std::string_view status, std::int64_t current,
                             std::int64_t total) {
    const bool begins = is_among(named, status) || status == downloading || status == here.front();
    const bool is_known = layers_.contains(id);
    if (id.empty() || (!is_known && (!begins || layers_.size() == layers_max))) return;
    Layer& layer = layers_[id];
    if (total > 0) layer.total = total;
    if (status == downloading) layer.current = std::max(layer.current, current);
    if (is_among(here, status)) layer.is_here = true;
    if (layer.is_here) layer.current = std::max(layer.current, layer.total);
}

TransferProgress PullStream::progress() const {
    TransferProgress sum{TransferStep::pulling_image, 0, 0};
    bool is_known = !layers_.empty();
    for (const auto& [id, layer] : layers_) {
        is_known = is_known && (layer.is_here || layer.total > 0);
        sum.done_bytes += layer.current;
        *sum.total_bytes += std::max(layer.total, layer.current);
    }
    if (!is_known) sum.total_bytes.reset();
    return sum;
}

}  // namespace fallow::agent
