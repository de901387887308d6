#include "http/tunnel_pipe.hpp"

#include <algorithm>
#include <array>
#include <mutex>

namespace fallow::http {

struct TunnelEnd::Pipe {
    struct Side {
        std::string incoming;  ///< for this side to take
        std::function<void()> wake;
    };

    std::mutex mutex;
    std::array<Side, 2> sides;
    bool is_closed = false;
    std::function<void()> on_close;
    std::shared_ptr<TunnelBytes> bytes;

    Side& of(int side) { return sides.at(static_cast<std::size_t>(side)); }
    void wake(int side) {
        if (of(side).wake) of(side).wake();
    }
};

TunnelEnd::TunnelEnd(std::shared_ptr<Pipe> pipe, int side) : pipe_(std::move(pipe)), side_(side) {}

TunnelEnd::~TunnelEnd() {
    on_change({});
    close();
}

std::size_t TunnelEnd::write(std::string_view bytes) {
    const std::lock_guard lock(pipe_->mutex);
    if (pipe_->is_closed) return 0;
    std::string& there = pipe_->of(1 - side_).incoming;
    const std::size_t count = std::min(bytes.size(), tunnel_buffer_bytes_max - there.size());
    there.append(bytes.substr(0, count));
    if (pipe_->bytes) (side_ == 0 ? pipe_->bytes->by_first : pipe_->bytes->by_second) += count;
    if (count > 0) pipe_->wake(1 - side_);
    return count;
}

std::string TunnelEnd::take() {
    const std::lock_guard lock(pipe_->mutex);
    std::string bytes = std::exchange(pipe_->of(side_).incoming, {});
    if (!bytes.empty()) pipe_->wake(1 - side_);
    return bytes;
}

void TunnelEnd::close() {
    std::function<void()> on_close;
    {
        const std::lock_guard lock(pipe_->mutex);
        if (std::exchange(pipe_->is_closed, true)) return;
        on_close = std::exchange(pipe_->on_close, {});
        pipe_->wake(0);
        pipe_->wake(1);
    }
    if (on_close) on_close();
}

bool TunnelEnd::is_closed() const {
    const std::lock_guard lock(pipe_->mutex);
    return pipe_->is_closed;
}

void TunnelEnd::on_change(std::function<void()> wake) {
    const std::lock_guard lock(pipe_->mutex);
    pipe_->of(side_).wake = std::move(wake);
}

std::shared_ptr<TunnelEnd> tunnel_of(const Reply& reply) {
    return reply.status == 101 ? std::dynamic_pointer_cast<TunnelEnd>(reply.stream) : nullptr;
}

std::pair<std::shared_ptr<TunnelEnd>, std::shared_ptr<TunnelEnd>> make_tunnel(
    std::function<void()> on_close, std::shared_ptr<TunnelBytes> bytes) {
    const auto pipe = std::make_shared<TunnelEnd::Pipe>();
    pipe->on_close = std::move(on_close);
    pipe->bytes = std::move(bytes);
    return {std::shared_ptr<TunnelEnd>(new TunnelEnd(pipe, 0)),
            std::shared_ptr<TunnelEnd>(new TunnelEnd(pipe, 1))};
}

}  // namespace fallow::http
