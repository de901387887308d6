#include "bench/packing/trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>
#include <stdexcept>
#include <unordered_map>

namespace fallow::bench {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> parts{""};
    for (const char c : text) {
        if (c == separator) {
            parts.emplace_back();
        } else if (c != '\r') {
            parts.back() += c;
        }
    }
    return parts;
}

/// Calls `row(fields)` for each line below the heading, sorted by the first field.
template <class Row>
void for_each_row(const std::string& path, std::size_t fields_min, Row&& row) {
    std::ifstream in(path);
    if (!in) throw std::runtime_error("cannot read " + path);
    std::string line;
    std::getline(in, line);
    std::vector<std::vector<std::string>> rows;
    while (std::getline(in, line)) {
        rows.push_back(split(line, ','));
        if (rows.back().size() < fields_min)
            throw std::runtime_error(fmt::format("{}: line {} has too few fields", path, rows.size() + 1));
    }
    std::stable_sort(rows.begin(), rows.end(),
                     [](const auto& left, const auto& right) { return left.front() < right.front(); });
    for (const auto& fields : rows)
        row(fields);
}

std::int64_t number(const std::string& text) {
    std::int64_t value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    if (read.ec != std::errc{} || value < 0) throw std::runtime_error("not a number: \"" + text + '"');
    return value;
}

placement::Task task_of(const std::vector<std::string>& fields, const Trace& trace) {
    placement::Task task;
    task.cpu_milli = number(fields[1]);
    task.memory = number(fields[2]);
    task.cards = static_cast<std::int32_t>(number(fields[3]));
    if (task.cards == 1 && !fields[4].empty())
        task.thousandths = static_cast<std::int32_t>(number(fields[4]));
    if (task.cards == 0 || fields.size() < 6 || fields[5].empty()) return task;
    for (const std::string& model : split(fields[5], '|'))
        if (const auto kind = trace.kinds.find(model); kind != trace.kinds.end())
            task.kinds.push_back(kind->second);
    std::sort(task.kinds.begin(), task.kinds.end());
    task.kinds.erase(std::unique(task.kinds.begin(), task.kinds.end()), task.kinds.end());
    if (task.kinds.empty()) task.kinds.push_back(static_cast<placement::Kind>(trace.kinds.size()));
    return task;
}

}  // namespace

Trace read_hosts(const std::string& path) {
    Trace trace;
    for_each_row(path, 5, [&](const std::vector<std::string>& fields) {
        placement::Room room;
        room.cpu_milli = number(fields[1]);
        room.memory = number(fields[2]);
        room.whole_cards = static_cast<std::int32_t>(number(fields[3]));
        room.kind = trace.kinds.try_emplace(fields[4], static_cast<placement::Kind>(trace.kinds.size()))
                        .first->second;
        trace.capacity += room.thousandths();
        trace.hosts.push_back(room);
    });
    return trace;
}

Workload read_tasks(const std::string& path, const Trace& trace) {
    Workload workload;
    workload.name = std::filesystem::path(path).stem().string();
    std::unordered_map<placement::Task, std::size_t, placement::TaskHash> known;
    for_each_row(path, 5, [&](const std::vector<std::string>& fields) {
        placement::Task task = task_of(fields, trace);
        const auto [at, is_new] = known.try_emplace(task, workload.classes.size());
        if (is_new) workload.classes.push_back(std::move(task));
        workload.tasks.push_back(at->second);
    });
    return workload;
}

Trace repeated(const Trace& trace, std::size_t count) {
    Trace more;
    more.kinds = trace.kinds;
    for (std::size_t i = 0; i < count; ++i) {
        more.hosts.push_back(trace.hosts[i % trace.hosts.size()]);
        more.capacity += more.hosts.back().thousandths();
    }
    return more;
}

std::vector<std::size_t> arrivals(const Workload& workload, std::int64_t capacity, std::int64_t load,
                                  std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<std::size_t> order = workload.tasks;
    std::shuffle(order.begin(), order.end(), random);
    std::int64_t asked = 0;
    for (const std::size_t each : order)
        asked += workload.classes[each].asked();
    if (asked == 0) throw std::runtime_error(workload.name + " asks for no card");
    while (asked * 100 < capacity * load) {
        order.push_back(workload.tasks[random() % workload.tasks.size()]);
        asked += workload.classes[order.back()].asked();
    }
    return order;
}

}  // namespace fallow::bench
