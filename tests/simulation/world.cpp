#include "simulation/world.hpp"

#include <cstdio>
#include <utility>

namespace fallow::sim {
namespace {

constexpr std::uint64_t fnv_prime = 0x100000001b3ULL;

}  // namespace

bool World::step(Time end) {
    if (events_.empty() || events_.top().at > end) {
        now_ = std::max(now_, end);
        return false;
    }
    // The queue gives its top out as const: what is moved from here is dropped at once.
    Event event = std::move(const_cast<Event&>(events_.top()));
    events_.pop();
    now_ = event.at;
    ++steps_;
    event.what();
    return true;
}

void World::write_line() {
    const auto mix = [this](std::uint64_t byte) { hash_ = (hash_ ^ byte) * fnv_prime; };
    for (std::int64_t at = now_.ms; at != 0; at >>= 8)
        mix(static_cast<std::uint64_t>(at & 0xff));
    for (const char c : line_)
        mix(static_cast<unsigned char>(c));
    if (!prints_) return;
    const std::int64_t since = now_.ms - 1'800'000'000'000;
    std::printf("%6lld.%03lld #%llu %.*s\n", static_cast<long long>(since / 1000),
                static_cast<long long>(since % 1000), static_cast<unsigned long long>(steps_),
                static_cast<int>(line_.size()), line_.data());
}

void Process::run(std::uint64_t life, const std::function<void()>& what) {
    if (life != life_ || !is_up_) return;
    if (is_hung_)
        held_.push_back(what);
    else
        what();
}

void Process::later(Millis span, std::function<void()> what) {
    if (span.count == 0) return run(life_, what);
    world_.after(span, [this, life = life_, what = std::move(what)] { run(life, what); });
}

void Process::kill() {
    if (!is_up_) return;
    world_.note("{} is killed", name_);
    is_up_ = false;
    is_hung_ = false;
    ++life_;
    held_.clear();
    on_killed();
}

void Process::boot() {
    if (is_up_) return;
    world_.note("{} starts", name_);
    is_up_ = true;
    on_boot();
}

void Process::hang() {
    if (!is_up_ || is_hung_) return;
    world_.note("{} hangs", name_);
    is_hung_ = true;
}

void Process::go_on() {
    if (!is_up_ || !is_hung_) return;
    world_.note("{} goes on", name_);
    is_hung_ = false;
    for (auto& what : std::exchange(held_, {}))
        later(world_.random.span(1, 5), std::move(what));
}

void Network::carry(const Line& line, std::function<void()> deliver) {
    Random& random = world_.random;
    if (world_.is_calm) return world_.after(random.span(1, 5), std::move(deliver));
    if (line.is_cut || random.chance(20)) return;
    const auto delay = [&] { return random.chance(30) ? random.span(200, 4000) : random.span(1, 40); };
    if (random.chance(30)) world_.after(delay(), deliver);
    world_.after(delay(), std::move(deliver));
}

}  // namespace fallow::sim
