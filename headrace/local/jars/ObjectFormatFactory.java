package headrace;

import java.io.IOException;
import java.util.Set;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.formats.json.JsonFormatFactory;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.format.DecodingFormat;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.DeserializationFormatFactory;
import org.apache.flink.table.factories.DynamicTableFactory;
import org.apache.flink.table.types.DataType;
import org.apache.flink.util.Collector;

/**
 * Flink's JSON format for messages that are one JSON object each, and nothing else.
 *
 * <p>Flink takes the rows out of a list, the first of several objects, and text behind a byte order mark or in UTF-16.
 * Landing puts such messages into quarantine, and a view must not count what the lake does not have.
 */
public final class ObjectFormatFactory implements DeserializationFormatFactory {
    private final JsonFormatFactory json = new JsonFormatFactory();

    @Override
    public String factoryIdentifier() {
        return "json-object";
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return json.requiredOptions();
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return json.optionalOptions();
    }

    @Override
    public DecodingFormat<DeserializationSchema<RowData>> createDecodingFormat(
            DynamicTableFactory.Context context, ReadableConfig options) {
        DecodingFormat<DeserializationSchema<RowData>> all = json.createDecodingFormat(context, options);
        return new DecodingFormat<>() {
            @Override
            public DeserializationSchema<RowData> createRuntimeDecoder(DynamicTableSource.Context source, DataType type) {
                return new Objects(all.createRuntimeDecoder(source, type));
            }

            @Override
            public ChangelogMode getChangelogMode() {
                return all.getChangelogMode();
            }
        };
    }

    static final class Objects implements DeserializationSchema<RowData> {
        private static final long serialVersionUID = 1;
        private final DeserializationSchema<RowData> all;

        Objects(DeserializationSchema<RowData> all) {
            this.all = all;
        }

        @Override
        public void open(InitializationContext context) throws Exception {
            all.open(context);
        }

        @Override
        public RowData deserialize(byte[] message) throws IOException {
            return one(message) ? all.deserialize(message) : null;
        }

        @Override
        public void deserialize(byte[] message, Collector<RowData> out) throws IOException {
            if (one(message)) {
                all.deserialize(message, out);
            }
        }

        @Override
        public boolean isEndOfStream(RowData next) {
            return all.isEndOfStream(next);
        }

        @Override
        public TypeInformation<RowData> getProducedType() {
            return all.getProducedType();
        }

        /** Whether the first brace is the first character, and the one that closes it the last. */
        static boolean one(byte[] message) {
            int depth = 0;
            boolean text = false;
            boolean over = false;
            for (int i = 0; message != null && i < message.length; i++) {
                byte c = message[i];
                if (text) {
                    if (c == '\\') {
                        i++;
                    } else if (c == '"') {
                        text = false;
                    }
                } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
                    continue;
                } else if (over || c == 0 || depth == 0 && c != '{') {
                    return false;
                } else if (c == '"') {
                    text = true;
                } else if (c == '{' || c == '[') {
                    depth++;
                } else if (c == '}' || c == ']') {
                    over = --depth == 0;
                }
            }
            return over;
        }
    }
}
