#include "api/event_stream.hpp"

#include "api/polled_stream.hpp"

namespace fallow::api {
namespace {

constexpr std::size_t events_per_read = 100;
/// The journal's topic changes with every batch of anybody; a stream looks a few times a second.
constexpr Millis pause(200);

class EventStream : public PolledStream {
  public:
    EventStream(Services& services, std::unique_ptr<StreamLimits::Place> place,
                std::optional<OrganizationId> audience, const JournalPosition& after)
        : PolledStream(services, "journal", std::move(place), pause),
          audience_(audience),
          position_(after) {}

  protected:
    Chunk read(store::Connection& connection) override {
        store::Transaction tx(connection, store::Actor::admin());
        EventReader reader(tx, services_.config.market, audience_);
        Chunk chunk;
        EventPage page;
        do {
            page = reader.read(position_, events_per_read);
            position_ = page.next;
        } while (page.events.empty() && page.has_more);
        tx.commit();
        for (const Event& event : page.events)
            chunk.text += server_sent_event(event.id, event.item.event, event_json(event));
        chunk.is_all = !page.has_more;
        return chunk;
    }

  private:
    const std::optional<OrganizationId> audience_;
    JournalPosition position_;
};

}  // namespace

Result<http::Reply> stream_events(const Call& call, std::optional<OrganizationId> audience,
                                  const JournalPosition& after) {
    auto place = call.services.stream_limits.enter(call.actor().organization);
    if (!place) return too_many_streams();
    return stream_reply(std::make_shared<EventStream>(call.services, std::move(place), audience, after));
}

}  // namespace fallow::api
