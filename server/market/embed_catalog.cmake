# Writes schema/catalog into a source file, so that the market looks a card up without reading a file.
# Sets FALLOW_CATALOG_SOURCE to its path.
set(FALLOW_CATALOG_SOURCE ${CMAKE_CURRENT_BINARY_DIR}/card_models.cpp)
set(catalog_folder ${CMAKE_SOURCE_DIR}/schema/catalog)
add_custom_command(
  OUTPUT ${FALLOW_CATALOG_SOURCE}
  COMMAND python3 ${CMAKE_CURRENT_SOURCE_DIR}/market/catalog_to_cpp.py ${catalog_folder} ${FALLOW_CATALOG_SOURCE}
  DEPENDS ${catalog_folder}/cards.csv ${catalog_folder}/sources.csv ${catalog_folder}/evidence.csv
          ${catalog_folder}/places.csv
          ${CMAKE_CURRENT_SOURCE_DIR}/market/catalog_to_cpp.py
  COMMENT "Writing the card catalog into a source file"
  VERBATIM)
