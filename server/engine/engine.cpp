#include "engine/engine.hpp"

#include "engine/runner.hpp"

namespace fallow::engine {

struct Engine::Impl : Runner {
    using Runner::Runner;
};

Engine::Engine(EngineConfig config, EngineDeps deps)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(deps))) {}
Engine::~Engine() {
    stop();
}

void Engine::start() {
    impl_->start();
}
void Engine::stop() {
    impl_->stop();
}
Status Engine::submit(Submission submission) {
    return impl_->submit(std::move(submission));
}
std::optional<std::int64_t> Engine::confirmed_epoch() const {
    return impl_->writer().confirmed_epoch();
}
void Engine::heartbeat(HostId host, const std::optional<std::string>& address) {
    impl_->heartbeat(host, address);
}
EngineStats Engine::stats() const {
    return impl_->writer().stats();
}
bool Engine::accepts() const {
    return impl_->writer().is_accepting();
}
void Engine::on_row_free() {
    impl_->on_row_free();
}
bool Engine::ready() const {
    return impl_->writer().confirmed_epoch().has_value();
}

}  // namespace fallow::engine
