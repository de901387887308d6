// Renters, sellers and the operator: each sends keyed commands over the network and repeats them until it
// has an answer. What there is to act on they read from the database's rows, as the API's reads do.
#pragma once

#include <functional>
#include <memory>

#include "simulation/auditor.hpp"

namespace fallow::sim {

/// What everybody needs to know of the world.
struct Scene {
    World& world;
    Network& network;
    Database& database;
    Machines& machines;
    Auditor& auditor;
    std::vector<Server*> servers;
    std::vector<HostId> hosts;
};

class Person : public Process {
  public:
    Person(Scene& scene, std::string name, market::Caller caller);

    using Then = std::function<void(const Answer&)>;
    /// Repeated with the same key until it is answered.
    void perform(const std::string& route, const market::Command& command, Then then = {},
                 std::string key = {});
    [[nodiscard]] const market::Caller& caller() const { return caller_; }

  protected:
    void on_boot() override {
        later(pause(), [this] { live(); });
    }
    void on_killed() override {}
    [[nodiscard]] virtual Millis pause() = 0;
    virtual void act() = 0;

    [[nodiscard]] std::string make_key() { return name() + ' ' + std::to_string(++keys_); }
    template <class Row>
    [[nodiscard]] const std::map<typename market::KeyOf<Row>::type, Row>& rows() const {
        return scene_.database.rows().rows<Row>();
    }
    template <class Row>
    [[nodiscard]] std::vector<Row> those(const std::function<bool(const Row&)>& which) const {
        std::vector<Row> found;
        for (const auto& [id, row] : rows<Row>())
            if (which(row)) found.push_back(row);
        return found;
    }
    Scene& scene_;

  private:
    struct Errand {
        engine::IdempotencyKey key;
        market::Command command;
        Then then;
        bool is_over = false;
    };
    void live();
    void send(const std::shared_ptr<Errand>& errand);
    void ask_server(const std::shared_ptr<Errand>& errand, Server& server,
                    std::function<void(const Answer*)> then);
    void send_again(const std::shared_ptr<Errand>& errand);

    market::Caller caller_;
    int keys_ = 0;
    Line line_;
};

class Renter final : public Person {
  public:
    Renter(Scene& scene, std::string name, OrganizationId organization, bool is_poor)
        : Person(scene, std::move(name), {organization, false, std::nullopt, "key_renter"}),
          is_poor_(is_poor) {}

  private:
    Millis pause() override { return world_.random.span(2000, 14'000); }
    void act() override;
    void place(bool has_job);
    void place_quoted();
    void reserve();
    void use(ReservationId id);
    void trade();
    void cancel();
    void change_bid();
    [[nodiscard]] market::JobRequest job(const std::string& key);
    [[nodiscard]] Program program();
    bool is_poor_;
    int rentals_ = 0;
};

class Seller final : public Person {
  public:
    Seller(Scene& scene, std::string name, OrganizationId organization)
        : Person(scene, std::move(name), {organization, false, std::nullopt, "key_seller"}) {}
    void open_listing(HostId host);

  private:
    Millis pause() override { return world_.random.span(6000, 25'000); }
    void act() override;
    void reclaim();
    void break_promise();
    void change_listing();
    void change_host();
    void maintain(HostId host);
};

class Operator final : public Person {
  public:
    explicit Operator(Scene& scene)
        : Person(scene, "operator", {OrganizationId{}, true, std::nullopt, "key_admin"}) {}
    void deposit(OrganizationId organization, std::int64_t micros);

  private:
    Millis pause() override { return world_.random.span(8000, 30'000); }
    void act() override;
    void freeze();
    void set_policy();
    void approve();
};

}  // namespace fallow::sim
