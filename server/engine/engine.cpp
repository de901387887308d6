#include "engine/engine.hpp"

#include "engine/writer.hpp"

namespace fallow::engine {

struct Engine::Impl : Writer {
    using Writer::Writer;
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
    return impl_->confirmed_epoch();
}
void Engine::heartbeat(HostId host) {
    impl_->heartbeat(host);
}
EngineStats Engine::stats() const {
    return impl_->stats();
}
bool Engine::ready() const {
    return impl_->confirmed_epoch().has_value();
}

}  // namespace fallow::engine
