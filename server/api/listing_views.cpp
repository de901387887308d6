#include "api/listing_views.hpp"

#include "market/listings.hpp"
#include "store/row_reader.hpp"

namespace fallow::api {
namespace {

std::string sql(const std::string& tail) {
    const std::string& columns = store::select_list<market::Listing>();
    return "SELECT " + columns +
           ", product, device_class, vram_bytes, country, runtime, cards_total, cards_free, "
           "thousandths_free, has_offered_card FROM (SELECT " +
           "listings.*, facts.*, place.* FROM listings "
           "CROSS JOIN LATERAL (SELECT "
           "(array_agg(product ORDER BY array_position(listings.card_ids, id)))[1] AS product, "
           "(array_agg(device_class ORDER BY array_position(listings.card_ids, id)))[1] AS device_class, "
           "min(vram_bytes) AS vram_bytes, count(*)::integer AS cards_total, "
           "(count(*) FILTER (WHERE used = 0 AND state = 'present'))::integer AS cards_free, "
           "coalesce(sum(1000 - used) FILTER (WHERE state = 'present'), 0) AS thousandths_free, "
           "coalesce(bool_or(state = 'present'), false) AS has_offered_card FROM ("
           "SELECT id, product, device_class, vram_bytes, used, state FROM listed_cards "
           "WHERE id = ANY (listings.card_ids) UNION "
           "SELECT id, product, device_class, vram_bytes, used, state FROM cards "
           "WHERE id = ANY (listings.card_ids)) AS card) AS facts "
           "CROSS JOIN LATERAL (SELECT country, runtime FROM listed_hosts WHERE id = listings.host_id "
           "UNION "
           "SELECT country, runtime FROM hosts WHERE id = listings.host_id LIMIT 1) AS place) AS view "
           "WHERE " +
           tail;
}

}  // namespace

std::vector<market::ListingView> read_listing_views(store::Transaction& tx, const std::string& tail,
                                                    const store::Parameters& parameters) {
    const auto result = tx.query_with(sql(tail), parameters);
    const int own = static_cast<int>(store::columns_of<market::Listing>().size());
    std::vector<market::ListingView> views;
    for (const auto& row : result) {
        market::ListingView view;
        view.listing = store::read_row<market::Listing>(row);
        view.product = store::read_optional_cell<std::string>(row[own]).value_or("");
        view.device_class =
            store::read_optional_cell<market::DeviceClass>(row[own + 1]).value_or(view.device_class);
        view.vram_bytes = store::read_optional_cell<std::int64_t>(row[own + 2]);
        view.country = store::read_cell<std::string>(row[own + 3]);
        view.runtime = store::read_cell<std::string>(row[own + 4]);
        view.cards_total = store::read_cell<std::int32_t>(row[own + 5]);
        view.cards_free = store::read_cell<std::int32_t>(row[own + 6]);
        view.thousandths_free = store::read_cell<std::int64_t>(row[own + 7]);
        view.paused_by = market::pause_of(view.listing, store::read_cell<bool>(row[own + 8]));
        views.push_back(std::move(view));
    }
    return views;
}

}  // namespace fallow::api
